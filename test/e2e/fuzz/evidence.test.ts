// Signed statements, descriptions of builds, and databases of vulnerabilities, as strangers may write them.
import { GROUPS } from '../../fuzz/targets.ts';
import { fuzzes } from '../support/fuzz-group.ts';

fuzzes(GROUPS.evidence);
