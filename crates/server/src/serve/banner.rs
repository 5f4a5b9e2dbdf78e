use std::net::SocketAddr;
use std::path::Path;

use http::Uri;

use crate::cli::output::bold;

/// Tells, once the server is ready, where it is and how to begin.
pub(crate) fn print(scheme: &str, address: SocketAddr, data_dir: &Path, gateways: &[(SocketAddr, Uri)]) {
    let host =
        if address.ip().is_unspecified() { format!("127.0.0.1:{}", address.port()) } else { address.to_string() };
    let endpoint = format!("{scheme}://{host}");
    let credentials = data_dir.join("credentials");
    let credentials = std::path::absolute(&credentials).unwrap_or(credentials);
    anstream::println!("{} is ready", bold("OpenTrail"));
    anstream::println!("  endpoint     {}", bold(&endpoint));
    for (address, upstream) in gateways {
        anstream::println!("  gateway      http://{address} records calls to {upstream}");
    }
    anstream::println!("  credentials  {}", credentials.display());
    anstream::println!("\nTry it:");
    anstream::println!("  export AWS_SHARED_CREDENTIALS_FILE={}", credentials.display());
    anstream::println!("  export AWS_ENDPOINT_URL={endpoint}");
    anstream::println!("  aws cloudtrail lookup-events --max-results 5");
}
