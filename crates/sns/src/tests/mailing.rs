use std::time::Duration;

use opentrail_runtime::{OnError, Shutdown, TaskGroup};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::world::{World, element, world_with};
use crate::{MailEncryption, MailOptions, SnsOptions};

/// A mail server that takes everything for everybody but `nobody@…`, and tells what it got.
async fn mail_server(tasks: &TaskGroup) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::unbounded_channel();
    tasks.spawn("mail", OnError::Log, async move {
        loop {
            let (stream, _) = listener.accept().await?;
            let _ = tell.send(talk(stream).await?);
        }
        #[expect(unreachable_code, reason = "it gives the block its type")]
        Ok::<_, std::io::Error>(())
    });
    (port, told)
}

async fn talk(stream: TcpStream) -> std::io::Result<String> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let (mut mail, mut in_data) = (String::new(), false);
    write.write_all(b"220 mail\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer = match line.as_str() {
            "." if in_data => {
                in_data = false;
                "250 ok"
            }
            _ if in_data => {
                mail.push_str(&line);
                mail.push('\n');
                continue;
            }
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                break;
            }
            line if line.starts_with("RCPT TO:<nobody@") => "550 nobody here",
            line => {
                if line.starts_with("RCPT") || line.starts_with("MAIL") {
                    mail.push_str(line);
                    mail.push('\n');
                }
                "250 ok"
            }
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(mail)
}

async fn mailing() -> (World, mpsc::UnboundedReceiver<String>) {
    let tasks = TaskGroup::new(Shutdown::new());
    let (port, mails) = mail_server(&tasks).await;
    let mail = MailOptions {
        host: "127.0.0.1".to_owned(),
        port: Some(port),
        encryption: MailEncryption::None,
        credentials: None,
        from: "trail@example.com".to_owned(),
    };
    let options = SnsOptions { mail: Some(mail), ..SnsOptions::default() };
    (world_with(options, Duration::from_secs(15)).await, mails)
}

/// The text with the line ends of quoted-printable taken out.
fn unfolded(mail: &str) -> String {
    mail.replace("=\n", "").replace("=3D", "=")
}

#[tokio::test]
async fn an_address_is_asked_and_gets_messages_that_are_one_mail_each() {
    let (world, mut mails) = mailing().await;
    let topic = world.topic("alarms").await;
    let name = [("TopicArn", &*topic), ("AttributeName", "DisplayName"), ("AttributeValue", "Wächter")];
    world.call("SetTopicAttributes", &name).await;
    world.call("Subscribe", &[("TopicArn", &topic), ("Protocol", "email"), ("Endpoint", "a@example.com")]).await;
    world.deliver().await;
    let asked = unfolded(&mails.recv().await.unwrap());
    assert!(asked.contains("MAIL FROM:<trail@example.com>") && asked.contains("RCPT TO:<a@example.com>"), "{asked}");
    assert!(asked.contains("Subject: AWS Notification - Subscription Confirmation"), "{asked}");
    assert!(asked.contains("From: =?utf-8?"), "the name is encoded: {asked}");
    let link = asked.split_whitespace().find(|word| word.starts_with("https://")).unwrap();
    let (status, body) = world.follow(link).await;
    assert_eq!(status, 200, "{link}: {body}");
    assert!(element(&body, "SubscriptionArn").starts_with(&topic));

    let body = "first\r\n.\r\nRCPT TO:<b@example.com>\r\n";
    let subject = "Größe: a, b";
    world.call("Publish", &[("TopicArn", &topic), ("Message", body), ("Subject", subject)]).await;
    world.deliver().await;
    let mail = unfolded(&mails.recv().await.unwrap());
    let (envelope, text) = mail.split_once("From: ").unwrap();
    assert!(!envelope.contains("b@example.com"), "the body is no command: {mail}");
    assert!(text.contains("first") && text.contains("RCPT TO:<b@example.com>"), "and is all there: {mail}");
    assert!(text.contains("Subject: =?utf-8?") && text.contains("Action=Unsubscribe"), "{mail}");
}

#[tokio::test]
async fn what_the_mail_server_refuses_for_good_is_given_up() {
    let (world, _mails) = mailing().await;
    let topic = world.topic("alarms").await;
    world.call("Subscribe", &[("TopicArn", &topic), ("Protocol", "email"), ("Endpoint", "nobody@example.com")]).await;
    world.deliver().await;
    assert_eq!(world.sns.waiting().await.unwrap(), 0);
    let injected = [("TopicArn", &*topic), ("Protocol", "email"), ("Endpoint", "a@example.com\r\nBcc: b@example.com")];
    assert_eq!(world.refused("Subscribe", &injected).await.0, "InvalidParameter");
}
