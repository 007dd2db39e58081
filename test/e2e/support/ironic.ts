// Ironic's own image service (PyPI: ironic) and its inspector of disk images (PyPI: oslo.utils), in virtual environments
// below .cache that later runs use again.
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './docker.ts';

const IRONIC = ['ironic==39.0.0'];
/** Its inspector needs a package that it does not ask for. */
const OSLO_UTILS = ['oslo.utils==10.2.0', 'cryptography==50.0.2'];
const cache = join(__dirname, '../../../.cache');

/** What Ironic has chosen of a reference, and the checksum of what it has downloaded. */
export interface IronicChoice {
  chosen: Record<string, unknown>;
  checksum: string;
}

const PROGRAM = `
import json, logging, sys
from ironic.conf import CONF
from ironic.common import image_service

href, arch, target = sys.argv[1:]
CONF([], project='ironic')
service = image_service.OciImageService()
service.set_image_auth(href, {})
chosen = service.identify_specific_image(href, image_download_source='local', cpu_arch=arch)
with open(target, 'wb') as image:
    service.download(chosen['oci_image_manifest_url'], image)
print(json.dumps({'chosen': chosen, 'checksum': service.transfer_verified_checksum}))
`;

const INSPECTOR = `
import json, sys
from oslo_utils.imageutils import format_inspector

inspector = format_inspector.detect_file_format(sys.argv[1])
inspector.safety_check()
print(json.dumps({'format': str(inspector), 'virtualSize': inspector.virtual_size}))
`;

/** The Python that has packages, such as `ironic==39.0.0`. The first call installs them. */
async function pythonWith(requirements: readonly string[]): Promise<string> {
  const directory = join(cache, requirements.join('-').replaceAll('==', '-'));
  const python = join(directory, 'bin/python');
  const marker = join(directory, 'complete');
  const isThere = await access(marker).then(
    () => true,
    () => false,
  );
  if (isThere) return python;
  await mkdir(cache, { recursive: true });
  // Virtual environments cannot be moved: the marker says that this one is whole.
  await rm(directory, { recursive: true, force: true });
  const must = async (file: string, args: string[]) => {
    const { status, stderr } = await run(file, args);
    if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr}`);
  };
  await must('python3', ['-m', 'venv', directory]);
  // Few of the modules are ever loaded.
  await must(python, ['-m', 'pip', 'install', '--quiet', '--no-compile', ...requirements]);
  await mkdir(`${marker}.new`);
  await rename(`${marker}.new`, marker);
  return python;
}

/** Lets Ironic choose an image of an `oci://` reference and download it. */
export async function chooseByIronic(
  href: string,
  options: { ca: string; architecture: string; target: string },
): Promise<IronicChoice> {
  const python = await pythonWith(IRONIC);
  const { ca, architecture, target } = options;
  // What Ironic's HTTP library believes first.
  const env = { ...process.env, REQUESTS_CA_BUNDLE: ca };
  const { status, stdout, stderr } = await run(python, ['-c', PROGRAM, href, architecture, target], { env });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

/**
 * What Ironic's inspector finds an image to be, as the conductor does before it deploys one.
 * @throws Error when the image has a feature that Ironic refuses
 */
export async function inspectByIronic(path: string): Promise<{ format: string; virtualSize: number }> {
  const { status, stdout, stderr } = await run(await pythonWith(OSLO_UTILS), ['-c', INSPECTOR, path]);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}
