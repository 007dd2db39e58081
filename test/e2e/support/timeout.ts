// End-to-end tests build and boot real images: minutes, not seconds.
jest.setTimeout(15 * 60 * 1000);
