//! `scripted-model`: an OpenAI-compatible server on loopback that plays scripts. No language model.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use conductor_tests::scripted::{Options, Script, ScriptedModel};

/// Serves a scripted model on loopback: it lists and reads real files through its client's tools and
/// answers in the form that the prompt asks for, or plays a script. It is not a language model, and
/// says so in its name and in each answer.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER)]
struct Arguments {
    /// Address to listen on; loopback only.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen on; 0 takes a free one, which is printed.
    #[arg(long, default_value_t = 8765)]
    port: u16,
    /// Rules to play instead of the default behaviour, as TOML or JSON.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Wait between two chunks of text, so that an answer can be watched.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    chunk_delay_ms: u64,
    /// Requests to remember for /scripted/requests.
    #[arg(long, value_name = "N", default_value_t = 200)]
    keep: usize,
}

const AFTER: &str = "\
Model:    GET /v1/models, POST /v1/chat/completions (streaming or not)
Control:  GET  /scripted/requests    requests so far, with their bodies
          GET  /scripted/holds       what is held now
          POST /scripted/release     {\"name\": …} lets one hold go, without a name all of them
          POST /scripted/script      another script, TOML or JSON
          POST /scripted/reset       forget script and requests";

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let script = match &arguments.script {
        Some(file) => Script::load(file)?,
        None => Script::default(),
    };
    let model = ScriptedModel::start(Options {
        address: SocketAddr::new(arguments.host, arguments.port),
        script,
        chunk_delay: Duration::from_millis(arguments.chunk_delay_ms),
        keep: arguments.keep,
    })
    .await?;
    println!("scripted-model listens on {}", model.base_url());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
