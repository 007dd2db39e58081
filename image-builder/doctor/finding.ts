// What the doctor finds, and the code of each kind of finding.
import type { Finding } from '../base/diagnostics/error.ts';

/** Codes of what is not as it should be, or worth knowing. */
export type DoctorCode =
  /** kustomize is not on PATH. */
  | 'KUSTOMIZE_MISSING'
  /** This kustomize lacks something that newer ones have. */
  | 'KUSTOMIZE_OLD'
  /** kustomize does not report its version. */
  | 'KUSTOMIZE_VERSION_UNKNOWN'
  /** No container engine is installed. */
  | 'ENGINE_MISSING'
  /** A container engine is installed but does not answer. */
  | 'ENGINE_REFUSES'
  /** Containers can be started, but not by the command `docker`, which kustomize calls. */
  | 'DOCKER_COMMAND_MISSING'
  /** The user has no range of subordinate ids, which builds by ordinary users need. */
  | 'SUBORDINATE_IDS_MISSING'
  /** The machine refuses user namespaces, which builds by ordinary users need. */
  | 'USER_NAMESPACES_REFUSED'
  /** Tools are missing that a kind of work needs. */
  | 'TOOL_MISSING'
  /** There is no KVM: boot tests are slow. */
  | 'KVM_MISSING'
  /** The user may not use KVM. */
  | 'KVM_DENIED'
  /** KVM is there, and no guest starts with it. */
  | 'KVM_BROKEN'
  /** KVM is slower than emulation, as in a nested virtual machine. */
  | 'KVM_SLOW'
  /** No kustomization was found in a directory. */
  | 'KUSTOMIZATION_MISSING'
  /** A file that a kustomization names cannot be read. */
  | 'FILE_UNREADABLE'
  /** A file is not valid YAML. */
  | 'INVALID_YAML'
  /** A function is listed under validators, where kustomize fails on it. */
  | 'FUNCTION_UNDER_VALIDATORS'
  /** Neither an annotation nor a plugin tells kustomize how to run the function. */
  | 'FUNCTION_ANNOTATION_MISSING'
  /** The annotation that says how to run the function is malformed. */
  | 'FUNCTION_ANNOTATION_INVALID'
  /** The executable of a function is not where the annotation says. */
  | 'FUNCTION_NOT_EXECUTABLE'
  /** This kustomize passes no arguments to executables. */
  | 'FUNCTION_ARGUMENTS_IGNORED'
  /** kustomize runs the function with certain flags only. */
  | 'FUNCTION_NEEDS_FLAGS'
  /** Signatures are demanded for a tag, however old: an older bundle can be put in its place. */
  | 'TRUST_WITHOUT_MAX_AGE'
  /** A function in a container is to build, and has no tools. */
  | 'CONTAINER_WITHOUT_TOOLS'
  /** A function in a container is to build by an engine, whose socket it needs. */
  | 'CONTAINER_NEEDS_ENGINE'
  /** kustomize refuses, or ignores, these mounts. */
  | 'CONTAINER_MOUNTS_REFUSED'
  /** A function in a container reads from a registry, and has no network. */
  | 'CONTAINER_WITHOUT_NETWORK'
  /** An image that is run is named by a tag, whose content its registry may change. */
  | 'IMAGE_WITHOUT_DIGEST'
  /** Nobody fixes a version of Kubernetes, or what a profile installs, any more. */
  | 'END_OF_LIFE'
  /** A replacement takes values from a catalogue that does not exist yet when it runs. */
  | 'REPLACEMENT_TOO_EARLY'
  /** A field of an image has another name in this version of Metal3's object. */
  | 'METAL3_FIELD_RENAMED'
  /** The address of an image is none, as after a replacement that did not happen. */
  | 'METAL3_URL_INVALID'
  /** A checksum stands beside an address that has a digest. */
  | 'METAL3_CHECKSUM_UNWANTED'
  /** An image that is fetched by HTTP has no checksum. */
  | 'METAL3_CHECKSUM_MISSING'
  /** An image has an MD5 checksum. */
  | 'METAL3_CHECKSUM_WEAK';

/** A finding with its code; what is in order has `outcome: ok` instead. */
export interface DoctorFinding extends Finding {
  tags: { code: DoctorCode; outcome?: never } | { outcome: 'ok'; code?: never };
}

/** Where something was found. */
export type Place = Pick<Finding, 'field' | 'file'>;

/** Something that is not as it should be, or worth knowing. */
export function finding(
  severity: Finding['severity'],
  code: DoctorCode,
  message: string,
  place: Place = {},
): DoctorFinding {
  return { severity, message, ...place, tags: { code } };
}

/** Something that is as it should be. */
export function ok(message: string): DoctorFinding {
  return { severity: 'info', message, tags: { outcome: 'ok' } };
}
