// Divides the packages of an image into its base, which images share and which is kept, and what is installed on top.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { nameOfRequest } from '../../spec/variables/package-names.ts';
import type { ResolvedDebconfSelection } from '../../spec/variables/resolved-multistrap.ts';
import type { Installation, TreeSettings } from './bootstrap.ts';
import { type ChosenPackage, makeChosenRepository } from './chosen-repository.ts';
import { renderSelections } from './debconf.ts';

/** All packages of an image, fetched. */
export interface ImagePackages {
  /** Directory of the package files. */
  archives: string;
  /** Sorted by the names of their files. */
  packages: readonly ChosenPackage[];
  /** What was asked for, by name. */
  requested: readonly string[];
  /** Those of them that belong to the base. */
  requestedOfBase: readonly string[];
  debconf: readonly ResolvedDebconfSelection[];
}

/** A part of the packages of an image. */
export type Layer = Omit<Installation, 'repository'> & { packages: readonly ChosenPackage[] };

/** What is installed first, and what is installed into a copy of that. */
export interface Layers {
  base: Layer;
  top: Layer & Installation;
}

/**
 * The base is what apt would install for the requests of the base if there were no packages but those of the image: all
 * versions are those that were chosen for the image as a whole, and the base has no say in that.
 */
export async function divide(
  { archives, packages, requested, requestedOfBase, debconf }: ImagePackages,
  settings: TreeSettings,
  context: StageContext,
): Promise<Layers> {
  const repository = await makeChosenRepository('chosen', packages, settings, context);
  const ofBase = [...new Set(requestedOfBase.map(nameOfRequest))].sort();
  const names = new Set((await repository.apt.plan(ofBase)).map(({ name }) => name));
  const isOfBase = ({ name }: { name: string }) => names.has(name);
  const layer = (
    members: readonly ChosenPackage[],
    asked: readonly string[],
    answers: readonly ResolvedDebconfSelection[],
  ): Layer => ({
    archives,
    packages: members,
    files: members.map(({ file }) => file),
    requested: asked,
    debconf: renderSelections(answers),
  });
  const answersBase = ({ package: name }: ResolvedDebconfSelection) => names.has(name);
  const top = layer(
    packages.filter((one) => !isOfBase(one)),
    // All of them, also those that are there: what the user has asked for is not there by accident.
    [...new Set(requested.map(nameOfRequest))].sort(),
    debconf.filter((answer) => !answersBase(answer)),
  );
  return {
    base: layer(packages.filter(isOfBase), ofBase, debconf.filter(answersBase)),
    top: { ...top, repository },
  };
}

/**
 * When the newest of some package files was built, in seconds since the epoch: the time of a base that depends on nothing but
 * its packages, whatever else the repositories have had since.
 */
export async function newestBuild(files: readonly string[], archives: string): Promise<number> {
  let newest = 0;
  for (const file of files) newest = Math.max(newest, await buildTime(join(archives, file)));
  return newest;
}

/** The time of the first member of the archive (deb(5), ar(5)). */
async function buildTime(path: string): Promise<number> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(AR_HEADER), 0, AR_HEADER, 0);
    return Number.parseInt(buffer.toString('latin1', AR_TIME, AR_TIME + 12), 10) || 0;
  } finally {
    await file.close();
  }
}

/** `!<arch>` and a line feed, then the header of the first member. */
const AR_HEADER = 8 + 60;
/** Where the time stands in it: after the magic string and the name. */
const AR_TIME = 8 + 16;
