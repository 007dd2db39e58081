// The readers of YAML that our output meets besides our own: Go's as kustomize and kubectl use it (go-yaml/, built once
// through the Go module proxy and kept in .cache), and Python's.
import { spawnSync } from 'node:child_process';
import { goProgram } from './go-program.ts';

/** What a reader has made of one document. */
export interface Reading {
  value?: unknown;
  error?: string;
}

/** Reads each text as one document, by kyaml 0.21 (kustomize 5.8) and by sigs.k8s.io/yaml. */
export function readByGo(texts: string[]): { kyaml: Reading; sigs: Reading }[] {
  return JSON.parse(runOn(goProgram('go-yaml'), [], texts));
}

/** Reads each text by PyYAML's safe loader, which is how cloud-init and Ansible read. */
export function readByPython(texts: string[]): Reading[] {
  return JSON.parse(runOn('python3', ['-c', PYTHON], texts));
}

const PYTHON = `
import json, sys, yaml

def read(text):
    try:
        return {'value': yaml.load(text, Loader=yaml.SafeLoader)}
    except Exception as error:
        return {'error': str(error)}

json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout, default=str)
`;

function runOn(program: string, args: string[], texts: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    input: JSON.stringify(texts),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`${program}: ${stderr}`);
  return stdout;
}
