// What is said of a machine that was too slow.
import { adviseOnLateUnits } from '../../../../image-builder/stages/boot-test/activity.ts';

const LATE = ['Timed out waiting for device dev-x.device - /dev/x.'];

test('late units of a busy host may be its fault, others are not', () => {
  expect(adviseOnLateUnits(LATE, 21.7, 2)).toMatch(
    /^The image may be sound: 22 processes wanted the 2 processors/,
  );
  expect(adviseOnLateUnits(LATE, 1.5, 2)).toBeUndefined();
  expect(adviseOnLateUnits(['Failed to mount data.mount - /data.'], 21.7, 2)).toBeUndefined();
});
