# Thin targets over the scripts and the CLI. Two of them are for newcomers: demo and test. The others have the names and
# variables of Airship image-builder; docs/reference/airship-contracts.md tells what each means here. `make help` prints what stands in
# the lines that begin with ## (about the target or variable below).
.PHONY: demo test tests setup native help images build docker_build krm_base_image cut_image generate_iso package_qcow tag \
  push clean

## Set up this machine, build a small real node image through kustomize, print its catalogue.
demo:
	@scripts/demo.sh

## Set up this machine and run every test.
test:
	@scripts/test.sh

## The same as test.
tests: test

## Only install what is needed.
setup:
	@scripts/setup.sh

## Make dist/native: both programs as one executable that needs no Node.
native:
	scripts/setup.sh --native
	npm run --silent build:native

## Registry that images are pushed to.
DOCKER_REGISTRY ?= quay.io
## Path of the repositories in it.
IMAGE_PREFIX ?= airshipit
## Tags are IMAGE_TAG-DISTRO; empty: DISTRO.
IMAGE_TAG ?= latest
## Distribution of the images.
DISTRO ?= debian_trixie
## Directory of the manifests.
WORKDIR ?= manifests
## iso or qcow: what cut_image makes.
IMAGE_TYPE ?= iso
## The bundle directory of cut_image IMAGE_TYPE=qcow: a subdirectory for each QCOW. Default: WORKDIR/qcow-bundle.
QCOW_BUNDLE ?=
## The bundle directories of package_qcow, push and images, in WORKDIR or absolute. Default: every WORKDIR/qcow-bundle*.
QCOW_BUNDLE_DIRS ?=
## true: push what is made.
PUSH_IMAGE ?= false
## Further options of pushing: --insecure, --pull-secret FILE.
REGISTRY_OPTIONS ?=
## Where the OCI layouts of the bundles are written.
OUTPUT ?= out
## Mirrors of the distribution, the first that works is used. Default: that of this machine's apt.
MIRROR ?=
## Lock file with the exact packages, see `image-builder lock`.
LOCK ?=
## Proxy for packages and registries.
PROXY ?=
## Hosts that need no proxy.
NO_PROXY ?= localhost,127.0.0.1
## Seconds until the login prompt of a boot test; 0: no boot test.
BOOT_TIMEOUT ?= 300
## Container engine of docker_build and krm_base_image.
DOCKER ?= docker
## Further options of its build, for example --build-arg BUILDER_BASE=...
DOCKER_BUILD_OPTIONS ?=
## Name of the builder image.
IMAGE_NAME ?= image-builder
## Label of the builder image.
LABEL ?= org.airshipit.build=community
## The function's image, as krm_base_image names it.
KRM_BASE_IMAGE ?= $(REPOSITORY)/image-profile-krm:latest
## The command that does the work.
IMAGE_BUILDER ?= dist/image-builder
## The sources' revision, for the label of the builder image.
COMMIT ?= $(shell git -C $(ROOT) rev-parse HEAD 2>/dev/null)

ROOT := $(dir $(lastword $(MAKEFILE_LIST)))
comma := ,
hash := \#
space := $(subst ,, )

# One word: `NAME = value # comment` leaves blanks behind the value, and in the environment the comment too.
one_word = $(if $(filter-out $(hash)%,$(word 2,$($(1)))),$(error $(1) is "$($(1))", expected one word),$(firstword $($(1))))
$(foreach name,DOCKER_REGISTRY IMAGE_PREFIX IMAGE_TAG DISTRO WORKDIR IMAGE_TYPE QCOW_BUNDLE PUSH_IMAGE OUTPUT LOCK PROXY \
  NO_PROXY BOOT_TIMEOUT IMAGE_NAME IMAGE_BUILDER $(if $(filter-out undefined,$(origin PROFILE)),PROFILE),\
  $(eval override $(name) := $$(call one_word,$(name))))
# Where an empty value says nothing, it means the default.
default = $(eval override $(1) := $(or $($(1)),$(2)))
$(call default,DISTRO,debian_trixie)$(call default,WORKDIR,manifests)$(call default,OUTPUT,out)
$(call default,IMAGE_TYPE,iso)$(call default,BOOT_TIMEOUT,300)$(call default,IMAGE_NAME,image-builder)
$(call default,QCOW_BUNDLE,$(WORKDIR)/qcow-bundle)
override QCOW_BUNDLE := $(patsubst %/,%,$(QCOW_BUNDLE))

TAG = $(if $(IMAGE_TAG),$(IMAGE_TAG)-)$(DISTRO)
REPOSITORY = $(subst $(space),/,$(strip $(DOCKER_REGISTRY) $(IMAGE_PREFIX)))
IMAGE ?= $(REPOSITORY)/$(IMAGE_NAME):$(TAG)

# The predecessor's `build` laid the profile over the files of WORKDIR, where later targets found it. Here WORKDIR stays as it
# is, and the profile of the last `build` is remembered beside the results: WORKDIR and profile in one line.
MEMORY = $(OUTPUT)/.profile
REMEMBERED := $(shell awk -v of='$(abspath $(WORKDIR))' '$$1 == of { print $$2 }' $(OUTPUT)/.profile 2>/dev/null)
ifeq ($(origin PROFILE),undefined)
## A directory of profiles/, laid over the manifests. Default: that of the last `make build`; empty: none.
PROFILE := $(REMEMBERED)
SETTINGS_NOTE = $(if $(PROFILE),PROFILE=$(PROFILE)$(comma) as in the last `make build`; PROFILE= builds without it)
else
SETTINGS_NOTE = $(if $(PROFILE),,$(if $(REMEMBERED),no PROFILE$(comma) though the last `make build` had $(REMEMBERED)))
endif

# Bundle directories as paths. A trailing /. keeps files away.
ifneq ($(strip $(QCOW_BUNDLE_DIRS)),)
BUNDLES := $(foreach dir,$(patsubst %/,%,$(QCOW_BUNDLE_DIRS)),$(if $(filter /%,$(dir)),,$(WORKDIR)/)$(dir))
else
PROFILES = $(if $(PROFILE),$(addsuffix /$(PROFILE)/manifests,profiles $(WORKDIR)/../profiles $(WORKDIR)/../../profiles))
BUNDLES := $(addprefix $(WORKDIR)/,$(sort $(notdir $(patsubst %/.,%,$(wildcard $(addsuffix /qcow-bundle*/.,$(WORKDIR) $(PROFILES)))))))
endif
BUNDLE_NAMES := $(notdir $(BUNDLES))
ifneq ($(words $(sort $(BUNDLE_NAMES))),$(words $(BUNDLES)))
$(error QCOW_BUNDLE_DIRS names two directories of the same name: $(BUNDLES))
endif

ifneq ($(PROXY),)
export http_proxy = $(PROXY)
export https_proxy = $(PROXY)
export HTTP_PROXY = $(PROXY)
export HTTPS_PROXY = $(PROXY)
export no_proxy = $(NO_PROXY)
export NO_PROXY
endif

ifneq ($(APT_MIRROR_PROBLEM_LIST),)
$(warning APT_MIRROR_PROBLEM_LIST has no effect; name the mirrors to fall back to with MIRROR='http://first http://second')
endif
ifeq ($(SKIP_LIVECDCONTENT_ROLE),true)
$(warning SKIP_LIVECDCONTENT_ROLE has no effect: the live system is only made again when something in it has changed)
endif
# The files that these named to the predecessor's script would be left out of the image without a word.
UNREAD = $(strip $(foreach name,user_data network_config osconfig_params qcow_params,$(if $($(name)),$(name))))
unread = $(if $(UNREAD),$(error $(UNREAD): not read; the files are WORKDIR/iso/user_data and network_data.json$(comma) and \
  QCOW_BUNDLE/<name>/osconfig-vars.yaml and qcow-vars.yaml))

# What the skip switches leave as it was: SKIP_MULTI_ROLE the packages, the others their configuration too.
REUSE = $(if $(filter true,$(SKIP_MULTISTRAP) $(SKIP_OSCONFIG_ROLE)),--reuse osconfig,$(if $(filter true,$(SKIP_MULTI_ROLE)),--reuse rootfs))

# Whoever runs make answers for the paths that it is given.
export IMAGE_BUILDER_ALLOW_PATHS := $(subst $(space),:,$(strip $(WORKDIR) $(dir $(abspath $(WORKDIR)))profiles $(abspath $(WORKDIR)/../..)/profiles \
  $(QCOW_BUNDLE) $(BUNDLES) $(LOCK) $(IMAGE_BUILDER_ALLOW_PATHS)))
export IMAGE_BUILDER_ALLOW_OUTPUTS := $(subst $(space),:,$(strip $(OUTPUT) $(IMAGE_BUILDER_ALLOW_OUTPUTS)))
# $(call text,TEXT): a double-quoted scalar of YAML. $(call quote,TEXT): one word of the shell.
text = "$(subst ",\",$(subst \,\\,$(1)))"
quote = '$(subst ','\'',$(1))'
# $(call spec,WORKDIR,LOCK): spec.build of everything that is made from these manifests.
spec = distribution: $(call text,$(DISTRO)), manifests: $(call text,$(1))$(if $(PROFILE),$(comma) profile: $(call text,$(PROFILE)))$(if $(strip $(MIRROR)),$(comma) mirror: [$(subst $(space),$(comma) ,$(foreach one,$(MIRROR),$(call text,$(one))))])$(if $(2),$(comma) lock: $(call text,$(2)))
object_text = {apiVersion: airshipit.org/v1alpha1, kind: ImageBuilder, metadata: {name: $(call text,$(1))}, spec: {build: {$(call spec,$(WORKDIR),$(LOCK))$(if $(2),$(comma) $(2))}}}
# $(call object,NAME,FURTHER FIELDS): prints an ImageBuilder object.
object = printf '%s\n' $(call quote,$(call object_text,$(1),$(2)))
# $(call package,DIRECTORY): the bundle of a directory, as an OCI layout.
package = $(call object,$(notdir $(1)),$(call bundle_fields,$(1))) | $(IMAGE_BUILDER) build - --boot-test $(BOOT_TIMEOUT) $(REUSE) > /dev/null
bundle_fields = qcowManifests: $(call text,$(1)), bundle: {layout: $(call text,$(OUTPUT)/$(notdir $(1))), tag: $(call text,$(TAG))}
push_bundle = $(IMAGE_BUILDER) push oci:$(OUTPUT)/$(1):$(TAG) $(REPOSITORY)/$(1):$(TAG) $(REGISTRY_OPTIONS)

## Print this.
help:
	@awk -f $(ROOT)scripts/make-help.awk $(firstword $(MAKEFILE_LIST))

$(IMAGE_BUILDER):
	scripts/setup.sh
	npm run --silent build

.PHONY: settings no_bundles
settings:
	@$(if $(SETTINGS_NOTE),printf '%s\n' $(call quote,$(SETTINGS_NOTE)) >&2,:)

no_bundles:
	@echo 'There is no directory $(WORKDIR)/qcow-bundle*, and QCOW_BUNDLE_DIRS names none.' >&2
	@exit 1

## The root file system, every bundle and the ISO; with PUSH_IMAGE=true the builder image too.
images: build package_qcow generate_iso

## The root file system that all images share, into the store; with PUSH_IMAGE=true the builder image too, which is pushed.
build: $(IMAGE_BUILDER) settings
	$(call object,$(notdir $(QCOW_BUNDLE))) | $(IMAGE_BUILDER) build - --stage osconfig $(REUSE)
	@mkdir -p $(OUTPUT) && $(if $(PROFILE),printf '%s %s\n' $(call quote,$(abspath $(WORKDIR))) $(call quote,$(PROFILE)) >,rm -f) $(MEMORY)
	$(if $(filter true,$(PUSH_IMAGE)),$(docker_build))

# Variables that the script takes from the environment.
define docker_build
	DOCKER=$(call quote,$(DOCKER)) DOCKER_BUILD_OPTIONS=$(call quote,$(DOCKER_BUILD_OPTIONS)) IMAGE=$(call quote,$(IMAGE)) \
	PUSH_IMAGE=$(PUSH_IMAGE) LABEL=$(call quote,$(LABEL)) COMMIT=$(call quote,$(COMMIT)) TITLE=$(call quote,$(IMAGE_NAME)) \
	WORKDIR=$(call quote,$(WORKDIR)) PROFILE=$(call quote,$(PROFILE)) LOCK=$(call quote,$(LOCK)) \
	BUILD_SPEC=$(call quote,{$(call spec,manifests,$(if $(LOCK),manifests/.lock))}) $(ROOT)scripts/builder-image.sh
endef

## The builder image, for airshipctl and others who call it; no other target needs it. PUSH_IMAGE=true pushes it.
docker_build: $(IMAGE_BUILDER) settings
	$(docker_build)

## The function's image. Bundles need none: they have what it has.
krm_base_image: $(IMAGE_BUILDER)
	@$(ROOT)scripts/unpinned-bases.sh $(call quote,$(DOCKER_BUILD_OPTIONS)) FUNCTION_BASE
	$(DOCKER) build --target function --tag $(KRM_BASE_IMAGE) $(DOCKER_BUILD_OPTIONS) $(ROOT)

## One image type, beside its variables: IMAGE_TYPE=iso the ISO, IMAGE_TYPE=qcow the QCOWs of QCOW_BUNDLE.
cut_image: cut_image_$(IMAGE_TYPE)

.PHONY: cut_image_iso cut_image_qcow
cut_image_iso: $(IMAGE_BUILDER) settings
	$(unread)$(call object,$(notdir $(QCOW_BUNDLE)),iso: {$(if $(img_name),outputFileName: $(call text,$(img_name)))}) | $(IMAGE_BUILDER) iso - --output $(WORKDIR)/iso $(REUSE)
	[ $(BOOT_TIMEOUT) = 0 ] || $(IMAGE_BUILDER) boot-test $(WORKDIR)/iso/$(or $(img_name),ephemeral.iso) --timeout $(BOOT_TIMEOUT)

cut_image_qcow: $(IMAGE_BUILDER) settings
	$(unread)$(call package,$(QCOW_BUNDLE))
	$(IMAGE_BUILDER) copy oci:$(OUTPUT)/$(notdir $(QCOW_BUNDLE)):$(TAG) $(QCOW_BUNDLE) --force --with-profiles

cut_image_%:
	@echo 'IMAGE_TYPE is "$*", expected iso or qcow.' >&2
	@exit 1

## The ISO of WORKDIR/iso.
generate_iso: cut_image_iso

## One bundle for each of QCOW_BUNDLE_DIRS, with a QCOW for each of its subdirectories; PUSH_IMAGE=true pushes them.
package_qcow: $(if $(BUNDLES),$(addprefix package_,$(BUNDLE_NAMES)),no_bundles)

package_%: $(IMAGE_BUILDER) settings
	$(call package,$(filter $* %/$*,$(BUNDLES)))
	$(if $(filter true,$(PUSH_IMAGE)),$(call push_bundle,$*))

## Give SOURCE_IMAGE_TAG in a registry the name TARGET_IMAGE_TAG too.
tag: $(IMAGE_BUILDER)
	$(IMAGE_BUILDER) tag $(SOURCE_IMAGE_TAG) $(TARGET_IMAGE_TAG) $(REGISTRY_OPTIONS)

## Push the bundles to DOCKER_REGISTRY/IMAGE_PREFIX.
push: $(if $(BUNDLES),$(addprefix push_,$(BUNDLE_NAMES)),no_bundles)

push_%: $(IMAGE_BUILDER)
	$(call push_bundle,$*)

## Remove what the targets have written; results stay in the store (image-builder store gc).
clean:
	rm -rf $(addprefix $(OUTPUT)/,$(BUNDLE_NAMES) $(notdir $(QCOW_BUNDLE))) $(MEMORY)
	find $(wildcard $(WORKDIR) $(QCOW_BUNDLE) $(BUNDLES)) \( -name '*.iso' -o -name '*.qcow2' -o -name '*.md5sum' -o -name 'profile_*.json' \) -type f -delete
