// Archives, manifests and tables of contents, as strangers may write them.
import { GROUPS } from '../../fuzz/targets.ts';
import { fuzzes } from '../support/fuzz-group.ts';

fuzzes(GROUPS.images);
