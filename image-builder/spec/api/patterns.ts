// Patterns that the schemas of the variables share with what reads other files, and with the messages about them.

/**
 * No line break, in anybody's opinion of what breaks a line, and no control character but the tab: text for a file that
 * has an entry on each line must not be able to write a second one.
 */
export const ONE_LINE = '^(?:[^\\p{Cc}\\p{Zl}\\p{Zp}]|\\t)*$';

/**
 * A base URI of a repository. apt has methods that start programs with parts of the URI as their arguments (ssh, rsh), or
 * read files of this machine (mirror+file); those are not among these.
 */
export const MIRROR = '^(?:(?:tor\\+)?https?|ftp|file|copy):[^\\s\\p{Cc}]+$';
