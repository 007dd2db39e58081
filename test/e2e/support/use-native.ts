// Has the tests use the native executable.
process.env.EXECUTABLES = 'native';
