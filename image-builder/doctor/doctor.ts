// Runs all checks of the doctor: the machine, and the kustomizations that were named.

import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { Env } from '../base/env.ts';
import type { DoctorFinding } from './finding.ts';
import { checkKustomization } from './kustomization.ts';
import { pluginHomes, pluginPath } from './kustomize/plugin.ts';
import {
  checkEngines,
  checkKustomize,
  checkKvm,
  checkUserNamespaces,
  kustomizeVersion,
  type MachineFacts,
  type Probe,
} from './machine.ts';
import { checkMetal3 } from './metal3.ts';
import { profileEndOfLife } from './profile-end.ts';
import { readKustomizations, readRendered } from './read-kustomization.ts';
import { checkControlPlane, checkTools } from './tools.ts';

/**
 * Checks the machine, the kustomizations below these directories, and files with rendered objects (`-`: standard input).
 * @returns findings of every severity; what is in order has the tag `outcome: ok`.
 */
export async function examine(paths: string[], environment: Env): Promise<DoctorFinding[]> {
  const machine: MachineFacts = { uid: process.getuid?.(), userName: userInfo().username, probe };
  const version = await kustomizeVersion(probe);
  const findings = [
    ...checkKustomize(version),
    ...(await checkEngines(probe)),
    ...(await checkUserNamespaces(machine)),
    ...checkTools(),
    checkControlPlane(),
    ...(await checkKvm(machine)),
  ];
  const facts = {
    kustomizeVersion: version || undefined,
    hasPlugin: (kind: string) =>
      pluginHomes(environment).some((home) => existsSync(join(home, pluginPath(kind)))),
    isExecutable: (path: string, file: string) => isExecutable(path, dirname(file), environment),
    profileEndOfLife: (build: Record<string, unknown>, file: string) =>
      profileEndOfLife(build, [process.cwd(), dirname(file)]),
    today: new Date().toISOString().slice(0, 10),
  };
  for (const path of paths) {
    const rendered = await readRendered(path);
    if (rendered) {
      findings.push(...rendered.findings, ...rendered.objects.flatMap((object) => checkMetal3(object, path)));
      continue;
    }
    const read = await readKustomizations(path);
    findings.push(...read.findings);
    for (const kustomization of read.kustomizations)
      findings.push(...checkKustomization(kustomization, facts));
  }
  return findings;
}

function isExecutable(path: string, directory: string, environment: Env): boolean {
  const candidates = path.includes('/')
    ? [resolve(directory, path)]
    : (environment.PATH ?? '').split(delimiter).map((entry) => join(entry, path));
  return candidates.some((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return statSync(candidate).isFile();
    } catch {
      return false;
    }
  });
}

const probe: Probe = (argv, timeoutSeconds) =>
  new Promise((done) => {
    const started = performance.now();
    const output = { stdout: '', stderr: '' };
    const end = (status: number | 'missing' | 'timeout') =>
      done({ status, ...output, seconds: (performance.now() - started) / 1000 });
    const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutSeconds * 1000);
    child.stdout.on('data', (chunk) => {
      output.stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output.stderr += chunk;
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      end(error.code === 'ENOENT' ? 'missing' : 126);
    });
    child.on('close', (status) => {
      clearTimeout(timer);
      end(timedOut ? 'timeout' : (status ?? 128));
    });
  });
