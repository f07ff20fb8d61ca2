"""Where sockets are: the only asynchronous code besides the command line."""
