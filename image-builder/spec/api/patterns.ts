// Patterns that the schemas of the variables share with what reads other files, and with the messages about them.

/**
 * No line break, in anybody's opinion of what breaks a line, and no control character but the tab: text for a file that
 * has an entry on each line must not be able to write a second one.
 */
export const ONE_LINE = '^(?:[^\\p{Cc}\\p{Zl}\\p{Zp}]|\\t)*$';

/** A clause of a symbolic mode: whose, and what is added, taken away or set. */
const CLAUSE = '(?:a|[ugo]*)(?:[-+=](?:[rwxXst]*|[ugo]))+';

/** A file mode: octal digits, or clauses of chmod(1) as Ansible reads them. */
export const FILE_MODE = `^(?:(0o?)?[0-7]{3,4}|${CLAUSE}(?:,${CLAUSE})*)$`;

/**
 * A base URI of a repository. apt has methods that start programs with parts of the URI as their arguments (ssh, rsh), or
 * read files of this machine (mirror+file); those are not among these.
 */
export const MIRROR = '^(?:(?:tor\\+)?https?|ftp|file|copy):[^\\s\\p{Cc}]+$';

/** A name of something in the object: a distribution, a profile, a QCOW, a catalogue. */
export const NAME = '^[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$';

/** Name of an object of Kubernetes: a subdomain (RFC 1123). */
export const OBJECT_NAME = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';

/** A repository with its registry, without tag and digest. Docker Hub may be left out. */
export const REPOSITORY =
  '^((?:[A-Za-z0-9.-]+|\\[[0-9a-fA-F:.]+\\])(?::[0-9]{1,5})?/)?[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*)*$';

/** A registry, and perhaps the beginning of the names of repositories in it. */
export const IMAGE_REPOSITORY =
  '^(?:[A-Za-z0-9.-]+|\\[[0-9a-fA-F:.]+\\])(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*)*$';

/** An image with its registry, and perhaps a tag and a digest. */
export const IMAGE_NAME =
  '^(?:[A-Za-z0-9.-]+|\\[[0-9a-fA-F:.]+\\])(?::[0-9]{1,5})?/[a-z0-9._/-]+(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?$';
