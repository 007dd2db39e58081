// How the booted node gives the images that its disk carries to the runtime. Pure.
import type { OsconfigVariables } from '../../api/types.ts';
import { LIST_FILE, PRELOAD_DIRECTORY } from './preload.ts';
import type { RuntimeVariables } from './runtime-variables.ts';

const PROGRAM = '/usr/lib/image-builder/import-images';
const UNIT = 'image-builder-preload';

/** What imports the images when the node starts. It names none of them: other images leave it as it is. */
export function importVariables({
  unit,
  importing,
}: Pick<RuntimeVariables, 'unit' | 'importing'>): Required<Pick<OsconfigVariables, 'files' | 'systemd'>> {
  const programs = [{ name: PROGRAM, content: importing.program, permissions: '0755' }, ...importing.files];
  return {
    files: programs.map(({ name, content, permissions }) => ({
      name,
      file_content: content,
      permissions,
      run_contexts: ['common'],
    })),
    systemd: [
      { name: UNIT, file_content: serviceAfter(unit), enabled: true, run_contexts: ['common'] },
      ...importing.systemd,
    ],
  };
}

const serviceAfter = (runtime: string) => `[Unit]
Description=Container images that came with the disk
ConditionPathExists=${PRELOAD_DIRECTORY}/${LIST_FILE}
Requires=${runtime}.service
After=${runtime}.service
Before=kubelet.service cloud-final.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${PROGRAM}
TimeoutStartSec=1800

[Install]
WantedBy=multi-user.target
`;
