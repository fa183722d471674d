"""The command line: parse, call one library function, render. One module a command."""
