#include "api/signing/package_record.h"

#include "manifest/ceremony_transcript.h"

namespace fleetseal::api::signing {

Result<PackageRecord> PackageRecord::Parse(const codec::Json& json) {
  codec::ObjectReader reader(json, "package record");
  PackageRecord record;
  record.log_index = reader.Integer("logIndex");
  record.transcript = reader.OptionalString("transcript", manifest::kTranscriptBytesMax);
  TRY(reader.Finish());
  return record;
}

codec::Json PackageRecord::ToJson() const {
  codec::Json json = codec::Json::MakeObject();
  json.Set("logIndex", log_index).SetOptional("transcript", transcript);
  return json;
}

}  // namespace fleetseal::api::signing
