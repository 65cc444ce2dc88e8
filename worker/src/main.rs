//! The binary `conductor`: a helper process of the sandbox, or the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before any thread exists: this process may be the one that confines itself and becomes a child.
    if let Some(code) = conductor_worker::sandbox::helper_main() {
        return code;
    }
    if let Err(error) = conductor_worker::sealed::seal() {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    conductor_worker::cli::main()
}
