// Credentials of a registry, and who knows them.

/** How to log in. Never logged, never part of an error or output. */
export type Credential =
  | { kind: 'password'; username: string; password: string }
  /** An OAuth2 refresh token, as `docker login` stores it for some registries (`identitytoken`). */
  | { kind: 'refresh-token'; token: string }
  /** A bearer token that is sent as it is (`registrytoken`). */
  | { kind: 'bearer-token'; token: string };

/** Looks up what is known for a repository; undefined means anonymous. */
export interface CredentialSource {
  /**
   * @param registry `host[:port]`, `docker.io` for Docker Hub
   * @throws RegistryError CREDENTIALS when a file or helper cannot be used
   */
  find(registry: string, repository: string): Promise<Credential | undefined>;
}

/** Credentials that were handed over as content. */
export interface PullSecret {
  /** The JSON of `.dockerconfigjson`, or of the older `.dockercfg`, already decoded from base64. */
  json: string;
  /** Where it comes from, for messages. */
  origin: string;
}

/** Credentials that a caller passes in; they come before those of the machine. */
export interface CredentialOptions {
  /** Kubernetes imagePullSecrets. As in Kubernetes, only their `auths` count: a helper that they name is not run. */
  pullSecrets?: PullSecret[];
  /** For every registry that is asked. */
  login?: { username: string; password: string };
  /** Whether helpers that the machine's own files name are asked; default true. */
  helpers?: boolean;
  /** Whether the machine's own files and helpers are left alone. */
  isolated?: boolean;
}
