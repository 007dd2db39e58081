// Whether this machine runs programs of an architecture: found out with the smallest one there is, since a container
// does not see what its host has registered.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Architecture } from './emulation.ts';

/** e_machine of ELF, and the system call exit(0). */
const PROGRAMS: Record<Architecture, { machine: number; code: string }> = {
  // mov $60, %eax; xor %edi, %edi; syscall
  amd64: { machine: 0x3e, code: 'b83c00000031ff0f05' },
  // mov x0, #0; mov x8, #93; svc #0
  arm64: { machine: 0xb7, code: '000080d2a80b80d2010000d4' },
};
const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const ADDRESS = 0x400000n;

/** A static executable of 64-bit ELF (System V ABI, chapters 4 and 5) with one segment, that ends with status 0. */
export function smallestProgram(architecture: Architecture): Buffer {
  const { machine, code } = PROGRAMS[architecture];
  const start = HEADER_BYTES + SEGMENT_BYTES;
  const file = Buffer.alloc(start + code.length / 2);
  file.write('7f454c46020101', 0, 'hex');
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(machine, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(ADDRESS + BigInt(start), 24);
  file.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);
  file.writeUInt16LE(HEADER_BYTES, 52);
  file.writeUInt16LE(SEGMENT_BYTES, 54);
  file.writeUInt16LE(1, 56);
  const segment = file.subarray(HEADER_BYTES);
  segment.writeUInt32LE(1, 0);
  segment.writeUInt32LE(5, 4);
  for (const offset of [16, 24]) segment.writeBigUInt64LE(ADDRESS, offset);
  for (const offset of [32, 40]) segment.writeBigUInt64LE(BigInt(file.length), offset);
  segment.writeBigUInt64LE(0x1000n, 48);
  file.write(code, start, 'hex');
  return file;
}

/** Whether that program runs. */
export async function runsPrograms(architecture: Architecture): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), 'image-builder-probe-'));
  try {
    const program = join(directory, 'program');
    await writeFile(program, smallestProgram(architecture), { mode: 0o755 });
    await promisify(execFile)(program);
    return true;
  } catch {
    return false;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
