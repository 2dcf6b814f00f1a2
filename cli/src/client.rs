//! How a command reaches its cluster.

use crate::exit::{Shown, Usage};
use anyhow::Context;
use clap::{Args, ValueEnum};
use klamm::{AsyncStd, Blocking, Config, ErrorKind, Kafka, Tokio};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Names the file of settings that is read without `-F`.
const CONFIG: &str = "KLAMM_CONFIG";

/// After so long without a connection, what is in the way is told.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who runs the client's driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeName {
    /// A tokio runtime.
    #[default]
    Tokio,
    /// async-std.
    AsyncStd,
    /// A thread of the client's own.
    Blocking,
}

impl RuntimeName {
    /// As the command line spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::AsyncStd => "async-std",
            Self::Blocking => "blocking",
        }
    }
}

/// The options of every command that connects.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ClientArgs {
    /// Brokers to begin with, with commas between them
    #[arg(short = 'b', long, value_name = "HOST:PORT,...")]
    pub(crate) brokers: Option<String>,
    /// Sets a configuration key, by its name in Java or in librdkafka; `-X list` and `-X dump` show all of them
    #[arg(short = 'X', id = "setting", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Reads settings from a .properties file; without it from the one that $KLAMM_CONFIG names
    #[arg(short = 'F', long = "config-file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Gives up after so many seconds [default: default.api.timeout.ms]
    #[arg(short = 'm', long = "timeout", value_name = "SECONDS")]
    pub(crate) timeout: Option<f64>,
    /// Who runs the client's driver
    #[arg(long, value_enum, default_value_t)]
    pub(crate) runtime: RuntimeName,
}

/// A connected client, and what runs it.
pub(crate) struct Client {
    pub(crate) kafka: Kafka,
    runtime: Option<tokio::runtime::Runtime>,
}

impl ClientArgs {
    /// The configuration that the options describe; `change` adds what the command wants, behind the file and before
    /// `-X`.
    pub(crate) fn config(&self, change: impl FnOnce(Config) -> Config) -> anyhow::Result<Config> {
        if let Some(asked) = self.set.iter().find(|set| matches!(set.as_str(), "list" | "dump")) {
            // They stand for the whole command.
            self.print_settings(asked == "dump")?;
            return Err(Shown.into());
        }
        let file = self.file.clone().or_else(|| std::env::var_os(CONFIG).map(PathBuf::from));
        let mut config = match &file {
            Some(file) => Config::from_file(file)?,
            None if self.brokers.is_none() => {
                return Err(Usage(format!("which cluster? give -b HOST:PORT, -F FILE or ${CONFIG}")).into());
            }
            None => Config::default(),
        };
        if let Some(brokers) = &self.brokers {
            config = config.set("bootstrap.servers", brokers);
        }
        if let Some(timeout) = self.timeout {
            let timeout = Duration::try_from_secs_f64(timeout).map_err(|e| Usage(format!("-m {timeout}: {e}")))?;
            config = config.default_api_timeout(timeout);
        }
        config = change(config);
        for setting in &self.set {
            let (key, value) = pair("-X", setting)?;
            config = config.set(key, value);
        }
        Ok(config)
    }

    /// What `-X list` and `-X dump` show.
    fn print_settings(&self, values: bool) -> anyhow::Result<()> {
        let set = self.set.iter().filter(|set| set.contains('=')).cloned().collect();
        let mut args = Self { set, ..self.clone() };
        args.brokers.get_or_insert_with(|| "localhost:9092".to_owned());
        let mut out = std::io::stdout().lock();
        for setting in args.config(|config| config)?.settings() {
            match values {
                true => writeln!(out, "{setting}")?,
                false => writeln!(out, "{}", setting.key)?,
            }
        }
        Ok(())
    }

    /// Connects. Somebody may be waiting for it: what is in the way is told before the time is up.
    pub(crate) fn connect(&self, config: Config) -> anyhow::Result<Client> {
        let limit = config.settings().find(|setting| setting.key == "default.api.timeout.ms");
        let limit = limit.and_then(|setting| setting.value.parse().ok()).map(Duration::from_millis);
        let (kafka, runtime) = match self.runtime {
            RuntimeName::Tokio => {
                let runtime = tokio_runtime()?;
                let inside = runtime.enter();
                let kafka = Kafka::connect_lazy(Tokio, config)?;
                drop(inside);
                (kafka, Some(runtime))
            }
            RuntimeName::AsyncStd => (Kafka::connect_lazy(AsyncStd, config)?, None),
            RuntimeName::Blocking => (Kafka::connect_lazy(Blocking, config)?, None),
        };
        let rest = limit.and_then(|limit| limit.checked_sub(PATIENCE)).filter(|rest| !rest.is_zero());
        match (kafka.ping().within(rest.map_or(limit.unwrap_or(PATIENCE), |_| PATIENCE)).wait(), rest) {
            (Err(error), Some(rest)) if error.kind() == ErrorKind::Timeout => {
                let why = error.cause().map_or_else(|| error.to_string(), ToString::to_string);
                eprintln!("klamm: {why}; trying for another {} s (-m sets the limit)", rest.as_secs_f32().round());
                kafka.ping().within(rest).wait()?;
                eprintln!("klamm: connected");
            }
            (pinged, _) => pinged?,
        }
        Ok(Client { kafka, runtime })
    }

    /// Connects with nothing but these options.
    pub(crate) fn connect_plain(&self) -> anyhow::Result<Client> {
        self.connect(self.config(|config| config)?)
    }
}

impl Client {
    /// Ends the client in order.
    pub(crate) fn close(self) -> klamm::Result<()> {
        let closed = self.kafka.close().wait();
        if let Some(runtime) = self.runtime {
            runtime.shutdown_background();
        }
        closed
    }
}

/// A runtime for one driver: the application's side waits on its own threads.
pub(crate) fn tokio_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.context("cannot start a tokio runtime")
}

/// Splits `key=value`.
pub(crate) fn pair<'a>(option: &str, text: &'a str) -> Result<(&'a str, &'a str), Usage> {
    text.split_once('=').ok_or_else(|| Usage(format!("{option} {text}: KEY=VALUE is wanted")))
}
