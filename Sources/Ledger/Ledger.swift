// The first file of this module tells what it is for.
