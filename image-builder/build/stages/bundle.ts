// The stage `bundle`: puts the layers of the QCOWs, their checksums and the profiles together to an image.
import { join } from 'node:path';
import type { Profile, QcowArtifact } from '../../bundle/types.ts';
import { assembleBundle, type ImageLayer, type LocalBaseImage } from '../../bundle/write.ts';
import type { Entry } from '../../store/entry.ts';
import { bundleFacts, LAYOUT_DIRECTORY } from '../bundle-entry.ts';
import type { StageImplementation } from '../run.ts';
import { qcowLayerOf } from './qcow.ts';

/** What the bundle says about itself. */
export interface BundleStageOptions {
  architecture: string;
  labels: Readonly<Record<string, string>>;
  base?: LocalBaseImage;
}

/** Implements the stage. */
export function bundleStage(options: BundleStageOptions): StageImplementation {
  return async ({ parents, context }) => {
    context.report({ type: 'step', stage: context.stage, message: 'pack the bundle' });
    const qcows: Record<string, ImageLayer<QcowArtifact>> = {};
    const profiles: Profile[] = [];
    for (const [name, entry] of Object.entries(parents)) {
      if (entry.kind === 'qcow') qcows[name.slice('qcow/'.length)] = qcowLayerOf(entry);
      profiles.push(...profilesOf(entry));
    }
    const bundle = await assembleBundle(
      { ...options, qcows, profiles, created: context.sourceDateEpoch },
      join(context.outputDir, LAYOUT_DIRECTORY),
    );
    return { facts: bundleFacts(bundle, profiles) };
  };
}

function profilesOf(entry: Entry): Profile[] {
  return Array.isArray(entry.facts.profiles) ? (entry.facts.profiles as Profile[]) : [];
}
