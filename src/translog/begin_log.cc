#include "translog/begin_log.h"

#include "base/check.h"
#include "merkle/checkpoint.h"
#include "merkle/note.h"
#include "translog/sequencer.h"

namespace fleetseal::translog {

Result<FirstGroup> BuildFirstGroup(const std::string& origin, const crypto::Signer& signer, std::vector<Bytes> leaves) {
  CHECK(!leaves.empty() && leaves.size() <= kGroupLeavesMax);
  if (!merkle::IsKeyName(origin)) return Fail(ErrorCode::kInvalidArgument, "log origin");
  TreeBuilder tree;
  std::vector<TileFile> files;  // written when the log is opened
  for (const Bytes& leaf : leaves) tree.Append(leaf, files);
  FirstGroup first{{tree.size(), tree.Root(), {}}, {0, std::move(leaves)}};
  const std::string text = merkle::BuildCheckpoint({origin, first.row.size, first.row.root});
  TRY_ASSIGN(first.row.checkpoint_note, merkle::SignNote(text, origin, signer));
  return first;
}

}  // namespace fleetseal::translog
