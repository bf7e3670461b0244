//! What goes where: names, merge, snapshot, route table. Pure.
