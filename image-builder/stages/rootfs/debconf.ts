// Answers to the questions that packages ask by debconf(7) when they are installed. Pure.
import type { ResolvedDebconfSelection } from '../../spec/variables/resolved-multistrap.ts';

/** As debconf-set-selections(1) reads them. */
export const renderSelections = (selections: readonly ResolvedDebconfSelection[]): string =>
  selections
    .map(({ package: name, question, type, value }) => `${name} ${question} ${type} ${value}\n`)
    .join('');
