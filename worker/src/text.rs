//! Small text helpers shared by parser and child.
