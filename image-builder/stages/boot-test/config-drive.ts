// The config drive that hands tests to a booting image, as Ironic hands a node its data
// (https://docs.openstack.org/ironic/latest/install/configdrive.html): nothing of the image is changed for them.
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { guestProgram } from '../../embedded/guest-program.ts';
import { requireTools } from '../../sandbox/tools.ts';
import type { ImageTest } from '../../spec/variables/resolved-tests.ts';
import { REPORT_PORT } from './guest-tests.ts';

/** What the node is called, unless there are two. */
export const NODE_NAME = 'node-under-test';

/** In the guest, gone with it. */
const DIRECTORY = '/run/image-builder-tests';

/** A machine that is not the only one. */
export interface MachineIdentity {
  name: string;
  /** Hardware address of its network card. */
  mac: string;
  /** What that is given, with a mask of 24 bits. */
  address: string;
}

/**
 * Writes an image that cloud-init takes for a config drive: it has a unit run the tests once everything has started.
 * @param directory private directory that exists
 * @param identity absent: that of {@link NODE_NAME}, with an address by DHCP
 * @returns the file
 * @throws ToolError TOOL_MISSING without xorriso
 */
export async function writeConfigDrive(
  directory: string,
  tests: readonly ImageTest[],
  identity?: MachineIdentity,
): Promise<string> {
  requireTools(['config-drive']);
  const content = join(directory, 'config-drive');
  const latest = join(content, 'openstack/latest');
  await mkdir(latest, { recursive: true });
  const hostname = identity?.name ?? NODE_NAME;
  await writeFile(join(latest, 'meta_data.json'), JSON.stringify({ uuid: INSTANCE, hostname }));
  if (identity) await writeFile(join(latest, 'network_data.json'), JSON.stringify(networkData(identity)));
  await writeFile(join(latest, 'user_data'), `#cloud-config\n${JSON.stringify(userData(tests))}\n`);
  const image = `${content}.iso`;
  const options = ['-as', 'mkisofs', '-quiet', '-V', 'config-2', '-r', '-J', '-o', image, content];
  await promisify(execFile)('xorriso', options);
  return image;
}

/** Of a machine that nobody has seen before, so that cloud-init takes it for new. */
const INSTANCE = '7f0e1f4e-5d4e-4a43-9c53-6b2d6d1f7a10';

/** https://docs.openstack.org/nova/latest/user/metadata.html, network_data.json */
const networkData = ({ mac, address }: MachineIdentity) => ({
  links: [{ id: 'cable', type: 'phy', ethernet_mac_address: mac }],
  networks: [{ id: 'static', type: 'ipv4', link: 'cable', ip_address: address, netmask: '255.255.255.0' }],
  services: [],
});

/** cloud-init is itself a part of what has to start, so a unit of its own waits for the rest. */
function userData(tests: readonly ImageTest[]): object {
  const [program, list] = ['run_tests.py', 'tests.json'].map((name) => `${DIRECTORY}/${name}`) as [
    string,
    string,
  ];
  const command = ['python3', '-I', program, list, `/dev/virtio-ports/${REPORT_PORT}`];
  return {
    write_files: [
      { path: program, content: guestProgram },
      { path: list, content: JSON.stringify(tests) },
    ],
    runcmd: [['systemd-run', '--quiet', '--no-block', '--unit=image-builder-tests', ...command]],
  };
}
