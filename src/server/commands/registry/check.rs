//! How an instance is probed, as flags of `coregate registry register`.

use std::time::Duration;

use coregate_control::io::admin::check::CheckBody;
use coregate_control::io::client::ClientError;
use coregate_control::io::moment;

/// How the instance is probed; as its service says where none of these stands.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "How it is probed")]
pub(crate) struct Check {
    /// Probe it by a request for this path
    #[arg(long, value_name = "PATH", conflicts_with = "check_tcp")]
    check_get: Option<String>,
    /// Probe it by a connect alone
    #[arg(long)]
    check_tcp: bool,
    /// How often: 5s
    #[arg(long, value_name = "TIME", value_parser = moment::duration)]
    check_every: Option<Duration>,
    /// What a probe may take: 2s
    #[arg(long, value_name = "TIME", value_parser = moment::duration)]
    check_timeout: Option<Duration>,
    /// Probes that must pass in a row until it is up again
    #[arg(long, value_name = "COUNT")]
    check_rise: Option<u32>,
    /// Probes that must fail in a row until it is down
    #[arg(long, value_name = "COUNT")]
    check_fall: Option<u32>,
    /// Statuses that pass: 200-299; may stand several times
    #[arg(long, value_name = "RANGE")]
    check_status: Vec<String>,
    /// What must stand in the body of the answer
    #[arg(long, value_name = "TEXT")]
    check_body: Option<String>,
    /// The answer must name the instance's id in x-instance-id
    #[arg(long)]
    check_instance_id: bool,
    /// Another port than that of the instance
    #[arg(long, value_name = "PORT")]
    check_port: Option<u16>,
}

impl Check {
    /// What goes over the wire, if anything is said.
    pub(super) fn body(&self) -> Result<Option<CheckBody>, ClientError> {
        let text = |time: &Option<Duration>| time.map(|time| format!("{}ms", time.as_millis()));
        let body = CheckBody {
            get: self.check_get.clone(),
            tcp: self.check_tcp,
            status: self.check_status.clone(),
            body: self.check_body.clone(),
            instance_id: self.check_instance_id,
            port: self.check_port,
            every: text(&self.check_every),
            timeout: text(&self.check_timeout),
            rise: self.check_rise,
            fall: self.check_fall,
            ..CheckBody::default()
        };
        match (body.get.is_some() || body.tcp, body == CheckBody::default()) {
            (_, true) => Ok(None),
            (true, false) => Ok(Some(body)),
            (false, false) => {
                let why = "a probe needs --check-get PATH or --check-tcp";
                Err(ClientError::Request(why.to_owned()))
            }
        }
    }
}
