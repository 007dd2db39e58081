// The commands of the command line. Their modules load the engine only when they run.
import type { Command } from 'commander';
import { register as registerBootTest } from './commands/boot-test.ts';
import { register as registerBuild } from './commands/build.ts';
import { register as registerCopy } from './commands/copy.ts';
import { register as registerDiff } from './commands/diff.ts';
import { register as registerDoctor } from './commands/doctor.ts';
import { register as registerEntrypoint } from './commands/entrypoint.ts';
import { register as registerExtract } from './commands/extract.ts';
import { register as registerFn } from './commands/fn.ts';
import { register as registerHistory } from './commands/history.ts';
import { register as registerInspect } from './commands/inspect.ts';
import { register as registerInstallPlugin } from './commands/install-plugin.ts';
import { register as registerIso } from './commands/iso.ts';
import { register as registerLock } from './commands/lock.ts';
import { register as registerOutdated } from './commands/outdated.ts';
import { register as registerPin } from './commands/pin.ts';
import { register as registerPlan } from './commands/plan.ts';
import { register as registerPrepare } from './commands/prepare.ts';
import { register as registerPush } from './commands/push.ts';
import { register as registerRunBuild } from './commands/run-build.ts';
import { register as registerRunJob } from './commands/run-job.ts';
import { register as registerRunTriggered } from './commands/run-triggered.ts';
import { register as registerSbom } from './commands/sbom.ts';
import { register as registerScan } from './commands/scan.ts';
import { register as registerSchema } from './commands/schema.ts';
import { register as registerSign } from './commands/sign.ts';
import { register as registerStore } from './commands/store.ts';
import { register as registerTag } from './commands/tag.ts';
import { register as registerVerify } from './commands/verify.ts';

/** What the module of each command exports: adds the command to the program. */
export type Register = (program: Command) => void;

/** In the order in which the help lists them. */
export const COMMANDS: readonly Register[] = [
  registerBuild,
  registerIso,
  registerPlan,
  registerHistory,
  registerDiff,
  registerLock,
  registerOutdated,
  registerExtract,
  registerInspect,
  registerSbom,
  registerScan,
  registerCopy,
  registerPin,
  registerPush,
  registerTag,
  registerSign,
  registerVerify,
  registerFn,
  registerSchema,
  registerStore,
  registerBootTest,
  registerInstallPlugin,
  registerDoctor,
  registerEntrypoint,
  registerPrepare,
  registerRunBuild,
  registerRunJob,
  registerRunTriggered,
];
