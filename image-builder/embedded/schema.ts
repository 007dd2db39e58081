// The JSON Schema of the ImageBuilder object as plain data.
//
// In the bundled executables scripts/build.mjs has replaced this module by its value, so that TypeBox stays out of them.
import { ImageBuilder } from '../spec/api/schema/image-builder.ts';

/** JSON Schema (draft 2020-12) of the ImageBuilder object. */
export const imageBuilderSchema: Record<string, unknown> = JSON.parse(JSON.stringify(ImageBuilder));
