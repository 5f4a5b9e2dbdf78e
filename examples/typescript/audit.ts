// Puts one audit event of an application into its channel.

import { createHash, randomUUID } from "node:crypto";
import CloudTrailData from "aws-sdk/clients/cloudtraildata";

const channelArn = process.env.CHANNEL_ARN;
if (channelArn === undefined) {
  throw new Error("CHANNEL_ARN is not set");
}

const eventData = JSON.stringify({
  version: "1.0",
  UID: randomUUID(),
  userIdentity: { type: "CustomUserIdentity", principalId: "alice", details: { team: "finance" } },
  eventTime: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
  eventSource: "documents.example.com",
  eventName: "DocumentDeleted",
  requestParameters: { document: "invoice-17" },
  recipientAccountId: channelArn.split(":")[4],
});
const eventDataChecksum = createHash("sha256").update(eventData).digest("base64");

const client = new CloudTrailData({ endpoint: process.env.AWS_ENDPOINT_URL });
const answer = await client
  .putAuditEvents({ channelArn, auditEvents: [{ id: "1", eventData, eventDataChecksum }] })
  .promise();
for (const failed of answer.failed) {
  throw new Error(`${failed.errorCode}: ${failed.errorMessage}`);
}
console.log(answer.successful[0].eventID);
