use axum::Router;
use axum::http::header;
use axum::routing::post;
use http::Method;

use super::*;

/// A server on loopback that lives as long as the test's runtime.
async fn server(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let group = opentrail_runtime::TaskGroup::new(opentrail_runtime::Shutdown::new());
    group.spawn("server", opentrail_runtime::OnError::Log, async move {
        axum::serve(listener, router).await?;
        Ok::<_, std::io::Error>(())
    });
    format!("http://{address}")
}

fn request(url: &str) -> Request<Bytes> {
    Request::builder().method(Method::POST).uri(url).body(Bytes::from_static(b"hello")).unwrap()
}

fn near() -> Outbound {
    let allow = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    Outbound::new(OutboundOptions { allow, ..OutboundOptions::default() }).unwrap()
}

#[tokio::test]
async fn an_allowed_address_is_asked_and_its_answer_is_cut() {
    let router = Router::new()
        .route("/echo", post(async |body: Bytes| ([("x-seen", "yes")], body)))
        .route("/long", post(async || vec![b'x'; 200 << 10]));
    let base = server(router).await;
    let answer = near().send(request(&format!("{base}/echo"))).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"hello"[..]));
    assert_eq!(answer.headers["x-seen"], "yes");
    assert_eq!(near().send(request(&format!("{base}/long"))).await.unwrap().body.len(), 64 << 10);
}

#[tokio::test]
async fn no_spelling_of_the_host_itself_is_reached() {
    let base = server(Router::new().route("/", post(async || "secret"))).await;
    let port = base.rsplit(':').next().unwrap();
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();
    for host in
        ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0", "[::1]", "[::ffff:7f00:1]"]
    {
        let refused = outbound.send(request(&format!("http://{host}:{port}/"))).await.unwrap_err();
        assert!(
            matches!(refused, OutboundError::OutOfReach { .. } | OutboundError::InvalidUrl { .. }),
            "{host}: {refused}"
        );
    }
    assert!(outbound.send_to_configured(request(&format!("{base}/"))).await.is_ok());
}

#[tokio::test]
async fn redirects_lead_nowhere() {
    let to = [(header::LOCATION, "http://169.254.169.254/latest/meta-data/")];
    let base = server(Router::new().route("/", post(async move || (StatusCode::FOUND, to)))).await;
    assert_eq!(near().send(request(&base)).await.unwrap().status, StatusCode::FOUND);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_given_up() {
    let base = server(Router::new().route("/", post(async || std::future::pending::<()>().await))).await;
    assert_eq!(near().send(request(&base)).await.unwrap_err(), OutboundError::TimedOut);
}

#[tokio::test]
async fn urls_are_checked_when_they_are_stored() {
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();
    for url in [
        "ftp://a.example/",
        "http://",
        "nothing",
        "http://169.254.169.254/",
        "https://[fd00::1]/x",
        "http://10.0.0.1:80",
    ] {
        assert!(outbound.check_url(url).is_err(), "{url}");
    }
    let uri = outbound.check_url("https://hooks.example.com/a?b=c").unwrap();
    assert_eq!(uri, "https://hooks.example.com/a?b=c");
}

fn elsewhere(base: &str) -> aws::AwsEndpoint {
    aws::AwsEndpoint {
        endpoint: base.parse().unwrap(),
        region: "us-east-1".parse().unwrap(),
        credentials: opentrail_wire::sigv4::Credentials {
            access_key_id: "AKIA".to_owned(),
            secret: "secret".to_owned(),
            session_token: None,
        },
    }
}

fn calls() -> aws::AwsCalls {
    aws::AwsCalls::new(near(), Arc::new(opentrail_runtime::SystemClock))
}

#[tokio::test]
async fn refusals_of_a_service_have_their_name() {
    let refusal = r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}"#;
    let base = server(Router::new().route("/", post(async move || (StatusCode::BAD_REQUEST, refusal)))).await;
    let input = serde_json::json!({});
    let refused = calls().json(&elsewhere(&base), "sqs", "1.0", "AmazonSQS.SendMessage", &input).await.unwrap_err();
    assert_eq!(refused.to_string(), "400 Bad Request QueueDoesNotExist gone");
    assert!(!refused.is_retryable());
}

#[tokio::test]
async fn an_answer_that_is_cut_is_no_answer() {
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(64 << 10));
    let base = server(Router::new().route("/", post(async move || long.clone()))).await;
    let input = serde_json::json!({});
    let error = calls().json(&elsewhere(&base), "logs", "1.1", "Logs_20140328.GetLogEvents", &input).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("too long"), "{error}");
}

#[tokio::test]
async fn services_of_the_query_protocol_answer_in_xml() {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        publish_result: Published,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Published {
        message_id: String,
    }
    let answer = async |form: String| match form.as_str() {
        "Action=Publish&Version=2010-03-31&Message=a+%26+b" => {
            let text = "<PublishResponse xmlns=\"x\"><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>";
            (StatusCode::OK, text.to_owned())
        }
        _ => {
            let text = "<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>no &amp; none</Message></Error>\
                        <RequestId>r</RequestId></ErrorResponse>";
            (StatusCode::NOT_FOUND, text.to_owned())
        }
    };
    let base = server(Router::new().route("/", post(answer))).await;
    let at = elsewhere(&base);
    let told = calls().query::<Answer>(&at, "sns", "2010-03-31", "Publish", &[("Message", "a & b")]).await.unwrap();
    assert_eq!(told.publish_result.message_id, "m");
    let refused = calls().query::<Answer>(&at, "sns", "2010-03-31", "Publish", &[]).await.err().unwrap();
    assert_eq!((refused.name(), refused.to_string().as_str()), ("NotFound", "404 Not Found NotFound no & none"));
}
