#include <gtest/gtest.h>

#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/signer.h"
#include "merkle/hash.h"
#include "merkle/proof.h"
#include "merkle/tiles.h"

namespace fleetseal::merkle {
namespace {

constexpr std::string_view kOrigin = "example.com/log";

struct Party {
  explicit Party(std::string_view party_name, uint8_t seed, NoteKeyType type = NoteKeyType::kEd25519)
      : name(party_name),
        signer(crypto::PrivateKey::Ed25519FromSeed(Bytes(32, seed)).value()),
        vkey(Vkey::FromEd25519(party_name, signer.public_key().x(), type).value()) {}
  std::string name;
  crypto::SoftwareSigner signer;
  Vkey vkey;
};

class NoteTest : public ::testing::Test {
 protected:
  std::string Cosigned(const std::string& note, const std::vector<const Party*>& witnesses) const {
    Note parsed = ParseNote(note).value();
    for (const Party* witness : witnesses) {
      parsed.signatures.push_back(Cosign(parsed.text, witness->name, {1'700'000'000}, witness->signer).value());
    }
    return BuildNote(parsed);
  }
  ErrorCode Refused(const std::string& note) const {
    const auto verified = VerifyCheckpoint(note, policy_);
    return verified ? ErrorCode{} : verified.error().code;
  }

  Party log_{kOrigin, 1};
  Party other_{kOrigin, 2};
  Party witness_a_{"witness.example/a", 3, NoteKeyType::kCosignatureV1};
  Party witness_b_{"witness.example/b", 4, NoteKeyType::kCosignatureV1};
  Checkpoint checkpoint_{std::string(kOrigin), 7, LeafHash(AsBytes("x"))};
  std::string note_ = SignNote(BuildCheckpoint(checkpoint_), kOrigin, log_.signer).value();
  LogPolicy policy_{std::string(kOrigin), {log_.vkey}, {witness_a_.vkey, witness_b_.vkey}, 0};
};

TEST(VkeyTest, KnownKeyHasTheKnownTextAndCosignerId) {
  Bytes point(32);
  for (size_t i = 0; i < 32; ++i) point[i] = static_cast<uint8_t>(i);
  const std::string text = "example.com/log+a06c8792+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
  const auto key = Vkey::FromEd25519(kOrigin, point);
  ASSERT_TRUE(key) << key.error().ToString();
  EXPECT_EQ(key->ToText(), text);
  EXPECT_EQ(Vkey::Parse(text).value(), *key);
  EXPECT_EQ(codec::EncodeHex(ByteView(Vkey::FromEd25519(kOrigin, point, NoteKeyType::kCosignatureV1).value().id())),
            "7a64a175");
}

TEST(VkeyTest, RefusesChangedAndForeignKeys) {
  for (const char* bad : {"", "example.com/log", "example.com/log+a06c8792",
                          "example.com/log+a06c8793+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
                          "example.com/log+A06C8792+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
                          "example.com/l g+a06c8792+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
                          "example.com/log+a06c8792+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4", "+a06c8792+AQAB"}) {
    EXPECT_EQ(Vkey::Parse(bad).error().code, ErrorCode::kKeyInvalid) << bad;
  }
  Bytes body(33, 0);
  body[0] = 0x06;
  EXPECT_EQ(Vkey::Parse("a+00000000+" + codec::EncodeBase64(body)).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(Vkey::FromEd25519("a b", Bytes(32, 9)).error().code, ErrorCode::kTextInvalid);
}

TEST_F(NoteTest, CheckpointRoundTripsThroughASignedNote) {
  EXPECT_EQ(VerifyCheckpoint(note_, policy_).value(), checkpoint_);
  EXPECT_EQ(BuildNote(ParseNote(note_).value()), note_);
}

TEST_F(NoteTest, CheckpointTextIsStrict) {
  const std::string root = codec::EncodeBase64(checkpoint_.root.view());
  EXPECT_TRUE(ParseCheckpoint("o\n0\n" + root + "\n"));
  for (const std::string& bad :
       {std::string(), std::string("o\n1\n"), "o\n1\n" + root, "o\n1\n" + root + "\nextension\n",
        " \n1\n" + root + "\n", "a+b\n1\n" + root + "\n", "\n1\n" + root + "\n", std::string("o\n1\nAAAA\n")}) {
    EXPECT_EQ(ParseCheckpoint(bad).error().code, ErrorCode::kTextInvalid) << bad;
  }
  for (const char* size : {"", "01", "-1", "+1", "1 ", "0x1", "18446744073709551616", "9007199254740993"}) {
    EXPECT_EQ(ParseCheckpoint("o\n" + std::string(size) + "\n" + root + "\n").error().code, ErrorCode::kValueOutOfRange)
        << size;
  }
  EXPECT_EQ(ParseCheckpoint("o\n1\n" + root.substr(1) + "\n").error().code, ErrorCode::kBase64Invalid);
}

TEST_F(NoteTest, NotesAreStrict) {
  const std::string line = note_.substr(note_.rfind("\n\n") + 2);
  for (const std::string& bad :
       {std::string("x"), std::string("x\n"), std::string("x\n\n"), "x\n" + line,
        "x\n\n" + line.substr(0, line.size() - 1), "x\n\n" + line.substr(3), "x\x01\n\n" + line, "x\xff\n\n" + line,
        "x\xc0\x80\n\n" + line, std::string("x\n\n\xe2\x80\x94 name AAAA\n"), "x\r\n\n" + line,
        std::string("x\n\n\xe2\x80\x94 name\n"), "x\n\n" + line + "\n", std::string("x\n\n\xe2\x80\x94  AAAAAAA=\n")}) {
    const auto parsed = ParseNote(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code, ErrorCode::kTextInvalid) << bad;
  }
  std::string many = "x\n\n";
  for (size_t i = 0; i < kNoteSignaturesMax; ++i) many += line;
  EXPECT_TRUE(ParseNote(many));
  EXPECT_EQ(ParseNote(many + line).error().code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(ParseNote(std::string(kNoteBytesMax + 1, 'x')).error().code, ErrorCode::kDocumentTooLarge);
}

TEST_F(NoteTest, AnyChangeOfTheSignedTextOrSignatureIsRefused) {
  for (size_t i = 0; i < note_.size(); ++i) {
    std::string changed = note_;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(VerifyCheckpoint(changed, policy_)) << i;
  }
}

TEST_F(NoteTest, UnknownSignaturesAreIgnoredButAloneAreNoProof) {
  EXPECT_EQ(Refused(SignNote(BuildCheckpoint(checkpoint_), kOrigin, other_.signer).value()),
            ErrorCode::kLogProofMissing);
  Note note = ParseNote(note_).value();
  note.signatures.insert(note.signatures.begin(), {"unknown.example", {1, 2, 3, 4}, Bytes(4900, 5)});
  EXPECT_TRUE(VerifyCheckpoint(BuildNote(note), policy_));
}

TEST_F(NoteTest, AKnownKeyThatDoesNotVerifySinksTheNote) {
  Note note = ParseNote(note_).value();
  NoteSignature wrong = note.signatures[0];
  wrong.blob[10] ^= 1;
  note.signatures.push_back(wrong);
  EXPECT_EQ(Refused(BuildNote(note)), ErrorCode::kSignatureInvalid);
  note = ParseNote(Cosigned(note_, {&witness_a_})).value();
  note.signatures[1].blob[3] ^= 1;  // the time is signed too
  EXPECT_EQ(Refused(BuildNote(note)), ErrorCode::kSignatureInvalid);
  note.signatures[1].blob.resize(7);
  EXPECT_EQ(Refused(BuildNote(note)), ErrorCode::kSignatureInvalid);
}

TEST_F(NoteTest, AnotherOriginIsRefusedThoughTheKeyFits) {
  policy_.origin = "example.com/other";
  EXPECT_EQ(Refused(note_), ErrorCode::kLogProofMissing);
}

TEST_F(NoteTest, QuorumCountsDistinctWitnessKeys) {
  policy_.quorum = 1;
  EXPECT_EQ(Refused(note_), ErrorCode::kQuorumMissing);
  EXPECT_TRUE(VerifyCheckpoint(Cosigned(note_, {&witness_b_}), policy_));
  policy_.quorum = 2;
  EXPECT_EQ(Refused(Cosigned(note_, {&witness_a_, &witness_a_})), ErrorCode::kQuorumMissing);
  EXPECT_TRUE(VerifyCheckpoint(Cosigned(note_, {&witness_a_, &witness_b_}), policy_));
  // One key under two names is one witness.
  const Party twin{"witness.example/twin", 3, NoteKeyType::kCosignatureV1};
  policy_.witnesses.push_back(twin.vkey);
  EXPECT_EQ(Refused(Cosigned(note_, {&witness_a_, &twin})), ErrorCode::kQuorumMissing);
}

TEST_F(NoteTest, ACosignatureIsNoLogSignature) {
  const Party cosigner{kOrigin, 1, NoteKeyType::kCosignatureV1};
  Note note = ParseNote(note_).value();
  note.signatures = {Cosign(note.text, kOrigin, {5}, cosigner.signer).value()};
  EXPECT_EQ(Refused(BuildNote(note)), ErrorCode::kLogProofMissing);
}

TEST_F(NoteTest, OtherKindsOfKeysCannotSign) {
  const crypto::SoftwareSigner p256(crypto::PrivateKey::Generate(crypto::KeyKind::kP256).value());
  EXPECT_EQ(SignNote("x\n", kOrigin, p256).error().code, ErrorCode::kKeyInvalid);
  EXPECT_EQ(Cosign("x\n", "a b", {1}, log_.signer).error().code, ErrorCode::kTextInvalid);
}

class ProofTest : public NoteTest {
 protected:
  void SetUp() override {
    std::vector<Sha256> hashes;
    for (int i = 0; i < 7; ++i) hashes.push_back(LeafHash(AsBytes("leaf-" + std::to_string(i))));
    const TileHashReader reader(7, [&](const TileId&) -> Result<std::vector<Sha256>> { return hashes; });
    proof_.leaf = ToBytes("leaf-5");
    proof_.index = 5;
    proof_.hashes = InclusionProof(5, 7, reader).value();
    proof_.checkpoint_note =
        SignNote(BuildCheckpoint({std::string(kOrigin), 7, RootOf(hashes)}), kOrigin, log_.signer).value();
  }
  ErrorCode Refused() const {
    const auto verified = VerifyLogProof(proof_, policy_);
    return verified ? ErrorCode{} : verified.error().code;
  }
  LogProof proof_;
};

TEST_F(ProofTest, RoundTripsAndVerifies) {
  const LogProof parsed = ParseLogProof(BuildLogProof(proof_)).value();
  EXPECT_EQ(parsed.leaf, proof_.leaf);
  EXPECT_EQ(BuildLogProof(parsed), BuildLogProof(proof_));
  EXPECT_EQ(VerifyLogProof(parsed, policy_).value().size, 7u);
}

TEST_F(ProofTest, AnotherLeafIndexOrPathIsNoProof) {
  proof_.leaf = ToBytes("leaf-6");
  EXPECT_EQ(Refused(), ErrorCode::kLogProofMissing);
  proof_.leaf = ToBytes("leaf-5");
  proof_.index = 4;
  EXPECT_EQ(Refused(), ErrorCode::kLogProofMissing);
  proof_.index = 5;
  proof_.hashes[1].bytes[0] ^= 1;
  EXPECT_EQ(Refused(), ErrorCode::kLogProofMissing);
  proof_.hashes[1].bytes[0] ^= 1;
  policy_.quorum = 1;
  EXPECT_EQ(Refused(), ErrorCode::kQuorumMissing);
}

TEST_F(ProofTest, EveryTruncationIsRefused) {
  const std::string text = BuildLogProof(proof_);
  for (size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(ParseLogProof(text.substr(0, size))) << size;
}

TEST_F(ProofTest, TextIsStrict) {
  const std::string text = BuildLogProof(proof_);
  const auto with = [&](std::string_view from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    const auto parsed = ParseLogProof(changed);
    return parsed ? ErrorCode{} : parsed.error().code;
  };
  EXPECT_EQ(with("@v1", "@v2"), ErrorCode::kFormatVersionUnknown);
  EXPECT_EQ(with("extra ", "other "), ErrorCode::kTextInvalid);
  EXPECT_EQ(with("extra ", "extra !"), ErrorCode::kBase64Invalid);
  EXPECT_EQ(with("index ", "Index "), ErrorCode::kTextInvalid);
  EXPECT_EQ(with("index 5", "index 05"), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(with("index 5", "index 9007199254740992"), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(with("index 5\n", "index 5\nAAAA\n"), ErrorCode::kTextInvalid);
  EXPECT_EQ(with("index 5\n", "index 5\n!\n"), ErrorCode::kBase64Invalid);
  std::string hashes;
  for (size_t i = 0; i <= kProofHashesMax; ++i) hashes += codec::EncodeBase64(Sha256{}.view()) + "\n";
  EXPECT_EQ(with("index 5\n", "index 5\n" + hashes), ErrorCode::kLimitExceeded);
  EXPECT_EQ(ParseLogProof(std::string(200'000, 'x')).error().code, ErrorCode::kDocumentTooLarge);
  proof_.leaf = Bytes(65'536, 1);
  EXPECT_EQ(ParseLogProof(BuildLogProof(proof_)).error().code, ErrorCode::kDocumentTooLarge);
}

}  // namespace
}  // namespace fleetseal::merkle
