//! The binary `conductor`: a helper process of the sandbox, or the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before any thread exists: this process may be the one that confines itself and becomes a child.
    if let Some(code) = conductor_worker::sandbox::helper_main() {
        return code;
    }
    conductor_worker::cli::main()
}
