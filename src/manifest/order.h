// Payload of an order (typ kTypOrder), signed by the director key: one device, one action.
//
// Source: trust model sections 4 and 5. With delivery `clear` there is no content key and `contents` name the plain
// files. Thread rule: plain value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/common.h"

namespace fleetseal::manifest {

enum class OrderAction : uint8_t { kInstall, kCancel };

struct OrderContent {
  FileId file_id;
  Sha256 sealed_sha256;
  ByteCount sealed_size;
};

struct Order {
  OrderId order_id;
  OrderAction action = OrderAction::kInstall;
  DeviceId device_id;
  int64_t generation = 1;
  int64_t epoch = 0;
  int64_t sequence = 0;
  UnixSeconds issued;
  UnixSeconds expires;
  int64_t package_version = 0;  // the least that the device must have
  PlanId plan_id;
  Sha256 manifest_sha256;
  std::vector<OrderContent> contents;      // none for a cancel
  std::optional<std::string> content_key;  // compact JWE
  std::optional<Window> window;
  std::optional<UnixSeconds> deadline;
  Reboot reboot = Reboot::kNow;
  std::optional<std::string> permit;  // compact JWS

  static Result<Order> Parse(std::string_view payload);
  std::string Build() const;
};

}  // namespace fleetseal::manifest
