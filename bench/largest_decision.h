// One decision over documents that are each as large as they may be: what decision_bench times and decision_heap
// weighs.
//
// Header only. Thread rule: Run() may be called from many threads.
#pragma once

#include <optional>
#include <string_view>

#include "trust/offer.h"
#include "trust/testing/largest_world.h"

namespace fleetseal::bench {

class LargestDecision {
 public:
  LargestDecision() : package_(world_.documents.package) {
    const trust::OrderDocuments& order = world_.documents.order;
    offered_.packages = {&package_, 1};
    offered_.status = world_.documents.status;
    offered_.order = order.order;
    offered_.manifest = order.manifest;
    offered_.manifest_signature = order.manifest_signature;
    offered_.log_proof = order.log_proof;
    offered_.consistency = order.consistency;
  }
  void Run() const {
    const auto verdict = trust::Offer(world_.state, world_.device, offered_, {world_.now, std::nullopt, {}});
    CHECK(verdict.order.has_value());
  }

 private:
  trust::testing::LargestWorld world_;
  std::string_view package_;
  trust::OfferedDocuments offered_;
};

}  // namespace fleetseal::bench
