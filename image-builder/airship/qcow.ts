// A QCOW out of the builder container: which one it is, and the variables that the caller lays over the defaults.
import type { Finding } from '../base/diagnostics/error.ts';
import type { BuildSpec } from '../spec/api/types.ts';
import { type CutRequest, DEFAULT_QCOW_NAME, isFileName, qcowNameOf } from './request.ts';

/** The part of a request that says what is cut. */
export type Cut = Pick<CutRequest, 'imageType' | 'imageName' | 'qcowName' | 'build'>;

/** What a QCOW is cut from; shared by both contracts. A name that the caller gives wins over `img_name`. */
export function cutQcow(from: {
  osconfig: Record<string, unknown> | undefined;
  qcow: Record<string, unknown> | undefined;
  outputFileName: string | undefined;
  findings: Finding[];
}): Cut {
  const named = from.qcow?.img_name;
  if (named !== undefined && (typeof named !== 'string' || !isFileName(named))) {
    from.findings.push({
      severity: 'error',
      field: 'qcow.img_name',
      message: `is ${JSON.stringify(named)}, expected a file name`,
    });
  }
  const imageName = from.outputFileName ?? (typeof named === 'string' ? named : DEFAULT_QCOW_NAME);
  const qcowName = qcowNameOf(imageName);
  // The values are checked against the schema when the build is resolved, as those of any specification are.
  const image = {
    ...(from.osconfig === undefined ? {} : { osconfig: from.osconfig }),
    qcow: { ...from.qcow, img_name: imageName.replace(/\.qcow2?$/i, '') },
  } as NonNullable<BuildSpec['qcows']>[string];
  return { imageType: 'qcow', imageName, qcowName, build: { qcows: { [qcowName]: image } } };
}
