// What a node is told of the cluster that it is to join.
import { randomBytes } from 'node:crypto';

/** What a node needs to join. */
export interface Invitation {
  /** Of the API server: address and port. */
  endpoint: string;
  token: string;
  /** Of the public key of the cluster's authority: `sha256:<hex>`. */
  authorityHash: string;
}

/** https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#token-format */
export const newToken = () => `${randomBytes(3).toString('hex')}.${randomBytes(8).toString('hex')}`;
