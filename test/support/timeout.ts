// Unit tests take milliseconds; on a machine that is busy with something else, they need patience all the same.
jest.setTimeout(60_000);
