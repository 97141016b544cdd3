// ServerTest: a server lab with two people, some devices, and one signed and one waiting update.
//
// Header only. The scripted signer orders `release` for every device but device-2. Thread rule: one thread.
#pragma once

#include <gtest/gtest.h>

#include "manifest/register_change.h"
#include "server/testing/server_lab.h"

namespace fleetseal::server::testing {

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    lab.AddPerson("paula", {manifest::PersonRole::kPublisher});
    lab.AddPerson("olga", {manifest::PersonRole::kOperator});
    lab.AddPerson("anna", {manifest::PersonRole::kAuditor});
    lab.AddDevice("device-1");
    lab.AddDevice("device-2");
    lab.AddDevice("paused", api::signing::DeviceState::kSuspended);
    lab.AddDevice("gone", api::signing::DeviceState::kRevoked);
    lab.AddDevice("ended", api::signing::DeviceState::kActive, -60);
    release = lab.world.MakeRelease(1);
    draft = lab.world.MakeRelease(2);
    for (const auto* one : {&release, &draft}) {
      lab.manifests.emplace(one->sha256(), Must(manifest::UpdateManifest::Parse(one->manifest)));
    }
    ScriptSubmit();
    ScriptOrders();
    lab.Start();
  }

  // `release` is signed at once, everything else waits.
  void ScriptSubmit() {
    lab.signer.On("submit-request", [this](const codec::Json& request) -> Result<codec::Json> {
      const auto jws = Must(jose::UnverifiedJws::Parse(request.Find("request")->as_string()));
      const auto payload = Must(manifest::SignRequest::Parse(AsText(jws.unverified_payload())));
      api::signing::SubmitAnswer answer;
      answer.request_id = payload.request_id;
      answer.payload = "{}";
      if (payload.manifest_sha256 == release.sha256()) {
        answer.state = api::signing::RequestState::kSigned;
        answer.manifest_signature = release.signature;
        answer.log_index = static_cast<int64_t>(release.log_index);
      }
      return answer.ToJson();
    });
  }
  void ScriptOrders() {
    lab.signer.On("plan", [](const codec::Json& request) -> Result<codec::Json> {
      const auto jws = Must(jose::UnverifiedJws::Parse(request.Find("plan")->as_string(), limits::kHttpBodyBytesMax));
      codec::Json answer = codec::Json::MakeObject();
      answer.Set("planId", Must(manifest::Plan::Parse(AsText(jws.unverified_payload()))).plan_id.text());
      return answer;
    });
    lab.signer.On("orders", [this](const codec::Json& request) -> Result<codec::Json> {
      api::signing::OrdersAnswer answer;
      for (const codec::Json& id : request.Find("devices")->as_array())
        answer.orders.push_back(MakeOrder(id.as_string()));
      return answer.ToJson();
    });
    lab.signer.On("receipts", [](const codec::Json& request) -> Result<codec::Json> {
      api::signing::ReceiptsAnswer answer;
      answer.results.resize(request.Find("receipts")->as_array().size());
      for (auto& result : answer.results) result.is_accepted = true;
      return answer.ToJson();
    });
  }
  api::signing::OrderResult MakeOrder(const std::string& id) {
    api::signing::OrderResult result;
    result.device_id = Must(DeviceId::Parse(id));
    if (id == "device-2") {
      result.error = Refusal(ErrorCode::kCodeWithoutKeys, "no keys");
      return result;
    }
    manifest::Order order = lab.world.MakeOrder(release);
    order.device_id = result.device_id;
    order.contents[0].sealed_sha256 = sealed;
    order.contents[0].sealed_size = sealed_size;
    last_order = order;
    result.order = lab.world.SignOrder(order);
    result.sequence = order.sequence;
    return result;
  }

  std::string Submit(const trust::testing::Release& one, const std::string& id) {
    const auto paula = lab.Person("paula");
    const std::string body = api::admin::SubmitRequest{lab.SignRequest(one, id, "paula"), one.manifest}.Build();
    return ServerLab::CodeOf(ServerLab::Post(*paula, "/admin/v1/requests", body));
  }
  // Submitted, signed, uploaded.
  void MakeDeployable() {
    ASSERT_EQ(Submit(release, "request-1"), "200");
    ASSERT_EQ(lab.Upload(*lab.Person("paula"), release, "contents"), "200");
    const auto row = ShowUpdate(release);
    ASSERT_EQ(row.state, "deployable");
    sealed = *row.files[0].sealed_sha256;
    sealed_size = ByteCount{static_cast<uint64_t>(*row.files[0].sealed_size)};
  }
  api::admin::UpdateRow ShowUpdate(const trust::testing::Release& one) {
    const auto response = ServerLab::Get(*lab.Person("anna"), "/admin/v1/updates/" + codec::EncodeHex(one.sha256()));
    return Must(api::admin::UpdateRow::Parse(response.body));
  }
  std::string Plan(const trust::testing::Release& one, const std::string& person = "olga") {
    const std::string plan = lab.SignAsPerson(manifest::kTypPlan, lab.MakePlan(one, "plan-1").Build());
    return ServerLab::CodeOf(
        ServerLab::Post(*lab.Person(person), "/admin/v1/plans", api::admin::PlanRequest{plan}.Build()));
  }
  void StartRollout() {
    MakeDeployable();
    ASSERT_EQ(Plan(release), "200");
    const auto response = ServerLab::Post(*lab.Person("olga"), "/admin/v1/rollouts/plan-1/start", "{}");
    ASSERT_EQ(response.status, 200) << response.body;
    const auto answer = Must(api::admin::StartAnswer::Parse(response.body));
    EXPECT_EQ(answer.orders, 2);  // device-1 and ended
    ASSERT_EQ(answer.failed.size(), 1u);
    EXPECT_EQ(answer.failed[0].code, "CodeWithoutKeys");
  }
  http::ClientResponse CheckIn(const std::string& id) {
    return ServerLab::Post(*lab.Device(id), api::device::kCheckInPath, lab.CheckInOf(id).Build());
  }
  std::string RolloutState() {
    const auto response = ServerLab::Get(*lab.Person("anna"), "/admin/v1/rollouts/plan-1");
    const auto row = Must(api::admin::RolloutRow::Parse(response.body));
    return row.state + " " + row.devices[0].id.text() + " " + row.devices[0].state;
  }
  std::string ReceiptOf(const std::string& id, manifest::Outcome outcome) {
    manifest::Receipt receipt;
    receipt.device_id = Must(DeviceId::Parse(id));
    receipt.generation = 2;
    receipt.order_id = last_order->order_id;
    receipt.manifest_sha256 = release.sha256();
    receipt.release_counter = 77;
    receipt.outcome = outcome;
    receipt.issued = lab.world.now;
    return lab.SignAsPerson(manifest::kTypReceipt, receipt.Build());
  }
  std::string SendReceipt(const std::string& as, const std::string& receipt) {
    return ServerLab::CodeOf(
        ServerLab::Post(*lab.Device(as), api::device::kReceiptsPath, api::device::ReceiptsRequest{{receipt}}.Build()));
  }

  // What became of one receipt: "accepted", or whether the device is to forget it, and why.
  std::string ResultOf(const std::string& as, const std::string& receipt) {
    const auto response =
        ServerLab::Post(*lab.Device(as), api::device::kReceiptsPath, api::device::ReceiptsRequest{{receipt}}.Build());
    const auto result = Must(api::device::ReceiptsAnswer::Parse(response.body)).results.at(0);
    if (result.is_accepted) return "accepted";
    return (result.is_final ? "final " : "again ") + result.code.value_or("");
  }
  std::string DecidePlan(manifest::RevocationAction action) {
    manifest::Revocation revocation;
    revocation.revocation_id = Must(RequestId::Parse("revocation-1"));
    revocation.kind = manifest::RevocationKind::kPlan;
    revocation.action = action;
    revocation.subject = "plan-1";
    revocation.reason = "a test";
    revocation.person = Must(PersonId::Parse("olga"));
    revocation.nonce = Bytes(16);
    revocation.issued = lab.world.now;
    lab.signer.On("revoke", [revocation](const codec::Json&) -> Result<codec::Json> {
      return api::signing::RevokeAnswer{revocation.kind, revocation.subject, revocation.action}.ToJson();
    });
    codec::Json body = codec::Json::MakeObject();
    body.Set("revocation", lab.SignAsPerson(manifest::kTypRevocation, revocation.Build()));
    return ServerLab::CodeOf(ServerLab::Post(*lab.Person("olga"), "/admin/v1/revocations", body.Serialize()));
  }
  void ScriptCancelOrders() {
    lab.signer.On("cancel-orders", [this](const codec::Json& request) -> Result<codec::Json> {
      api::signing::OrdersAnswer answer;
      for (const codec::Json& id : request.Find("devices")->as_array()) {
        manifest::Order order = lab.world.MakeOrder(release);
        order.order_id = Must(OrderId::Parse("cancel-" + id.as_string()));
        order.action = manifest::OrderAction::kCancel;
        order.device_id = Must(DeviceId::Parse(id.as_string()));
        order.contents.clear();
        order.content_key.reset();
        order.sequence += 1;
        if (id.as_string() == "device-1") last_order = order;
        answer.orders.push_back({order.device_id, lab.world.SignOrder(order), order.sequence, std::nullopt});
      }
      return answer.ToJson();
    });
  }
  std::string FetchContent() {
    const std::string path = std::string(api::device::kContentPrefix) + codec::EncodeHex(sealed);
    return ServerLab::CodeOf(ServerLab::Get(*lab.Device("device-1"), path));
  }
  bool IsOffered() { return Must(api::device::CheckInAnswer::Parse(CheckIn("device-1").body)).order.has_value(); }

  Sha256 sealed;
  ByteCount sealed_size;
  std::optional<manifest::Order> last_order;
  trust::testing::Release release;
  trust::testing::Release draft;
  ServerLab lab;
};

}  // namespace fleetseal::server::testing
