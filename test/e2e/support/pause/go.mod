module pause-of-the-tests

go 1.26.8
