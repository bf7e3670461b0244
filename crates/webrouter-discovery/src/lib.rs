//! Who tells us: sources, assembler, guard, last good. Ends at a published snapshot.
