// A node is proven by joining a control plane on the building machine.
import { controlPlanePath, controlPlanePrograms } from '../../../sandbox/control-plane-programs.ts';
import { requireTools } from '../../../sandbox/tools.ts';
import type { BootTestOptions } from '../boot-test-options.ts';
import { NODE_NAME } from '../config-drive.ts';
import type { Proving } from '../proving.ts';
import { ControlPlane } from './control-plane.ts';
import { joinTests } from './guest-tests.ts';
import { NODE_ADDRESS } from './network.ts';
import { NodeProof } from './node-proof.ts';

/**
 * Starts the control plane.
 * @throws ToolError TOOL_MISSING; BootError CONTROL_PLANE_FAILED
 */
export async function provingByJoin(options: BootTestOptions): Promise<Proving> {
  const { controlPlanePath: path = controlPlanePath(process.env), progress, signal } = options;
  requireTools(['control-plane'], path);
  const step = (said: string) => progress?.step(said);
  const cluster = await ControlPlane.start(controlPlanePrograms(path), step, signal);
  return {
    tests: joinTests(cluster.invitation, { name: NODE_NAME, address: NODE_ADDRESS }),
    machine: { network: cluster.networkOptions },
    begin: () => cluster.forgetNode(NODE_NAME),
    proof: () => new NodeProof(cluster, NODE_NAME, step),
    stop: () => cluster.stop(),
  };
}
