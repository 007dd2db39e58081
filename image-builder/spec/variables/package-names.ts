// Names of packages as apt and dpkg may be given them. Pure.

/**
 * Debian Policy, section 5.6.7; without a minus at the end, which tells apt to remove a package. A plus there tells it to
 * install one, but only when no package has that name (`g++`, `memtest86+` have).
 */
const NAME = /^[a-z0-9][a-z0-9+.-]*[a-z0-9+.]$/;
const REQUEST = /^([a-z0-9+.-]+)(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+\*?|\/[A-Za-z0-9._/-]+)?$/;

/** Whether `text` is the name of a package and nothing else. */
export const isPackageName = (text: string): boolean => NAME.test(text);

/**
 * Whether `text` asks apt for a package: name, optionally `:architecture`, `=version` (with `*` for its end, as the packages of
 * `spec.build.kubernetes` have it) or `/suite`. Never an option, never a removal.
 */
export const isPackageRequest = (text: string): boolean => isPackageName(REQUEST.exec(text)?.[1] ?? '');

/** The name in what {@link isPackageRequest} accepts. */
export const nameOfRequest = (request: string): string => request.replace(/[:=/].*/, '');

/** The name, with the architecture when one is asked for. */
export const withoutVersion = (request: string): string => request.replace(/[=/].*/, '');
