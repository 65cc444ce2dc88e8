//! The chart for the README.

use super::figure::Section;

/// An SVG of the ratios of throughput.
pub fn svg(_sections: &[Section]) -> String {
    String::new()
}
