#include "manifest/log_change_leaf.h"

#include "manifest/fields.h"

namespace fleetseal::manifest {
namespace {

codec::Json Begin(std::string_view type, UnixSeconds time) {
  codec::Json json = codec::Json::MakeObject();
  json.Set("type", type).Set("time", TimeJson(time));
  return json;
}

}  // namespace

std::string NewLogLeaf::Build() const {
  codec::Json json = Begin("new-log", time);
  json.Set("origin", origin).Set("vkey", vkey).Set("changeId", change_id.text());
  return json.Serialize();
}

std::string LogBeginLeaf::Build() const {
  codec::Json json = Begin("log-begin", time);
  json.Set("previousOrigin", previous_origin)
      .Set("previousSize", previous_size)
      .Set("previousRoot", HashJson(previous_root))
      .Set("reason", reason)
      .Set("changeId", change_id.text())
      .Set("jwsSha256", HashJson(jws_sha256));
  return json.Serialize();
}

std::string LogSwitchLeaf::Build() const {
  codec::Json json = Begin("log-switch", time);
  json.Set("origin", origin)
      .Set("version", version)
      .Set("previousOrigin", previous_origin)
      .Set("previousSize", previous_size)
      .Set("previousRoot", HashJson(previous_root));
  return json.Serialize();
}

}  // namespace fleetseal::manifest
