// What a refusal says besides what is refused: each way in which the machine, the user or the caller could allow it.

/** Where the machine's policy is. */
export const MACHINE_POLICY_FILE = '/etc/image-builder/policy.yaml';

/** The ways to allow something. */
export interface Permission {
  /** Of the command line, with its value. */
  option?: string;
  /** Of the environment, with its value. */
  variable?: string;
  /** Of a policy file: `push: [registry.example.org/site/*]`. */
  line: string;
}

/** `allow it with --allow-path /srv/keys, by IMAGE_BUILDER_ALLOW_PATHS=/srv/keys, or by read: [...] in <file>`. */
export function howToAllow({ option, variable, line }: Permission): string {
  const ways = [
    ...(option === undefined ? [] : [`${option} (command line)`]),
    ...(variable === undefined ? [] : [`${variable} (environment)`]),
    `"${line}" in ${MACHINE_POLICY_FILE} or ~/.config/image-builder/policy.yaml`,
  ];
  return `allow it with ${ways.join(', or with ')}`;
}
