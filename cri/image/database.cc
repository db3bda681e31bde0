#include "cri/image/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

constexpr int kSchema = 2;
constexpr char kCreate[] =
    "CREATE TABLE IF NOT EXISTS image (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS layer (diff_id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS config (id TEXT PRIMARY KEY, text BLOB NOT NULL);"
    "PRAGMA user_version = 2;";

absl::Status Failed(sqlite3* db, absl::string_view what) {
  const int code = sqlite3_extended_errcode(db);
  std::string text = absl::StrCat("images.db: ", what, ": ", sqlite3_errmsg(db));
  if ((code & 0xff) == SQLITE_FULL) return absl::ResourceExhaustedError(text);
  if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB) return absl::DataLossError(text);
  return absl::InternalError(text);
}

struct Finalize {
  void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

absl::StatusOr<Statement> Compile(sqlite3* db, const char* sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(db, sql, -1, &raw, nullptr) != SQLITE_OK) return Failed(db, sql);
  return Statement(raw);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  // SQLite would make the file readable for all.
  ASSIGN_OR_RETURN(sys::UniqueFd made, sys::OpenAt(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  sqlite3* raw = nullptr;
  const int rc = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  auto db = std::make_unique<Database>(raw);
  if (rc != SQLITE_OK) return Failed(raw, absl::StrCat("open \"", path, "\""));
  RETURN_IF_ERROR(db->Prepare());
  return db;
}

Database::~Database() { sqlite3_close(db_); }

absl::Status Database::Prepare() {
  RETURN_IF_ERROR(Exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA locking_mode = EXCLUSIVE;"));
  ASSIGN_OR_RETURN(Statement version, Compile(db_, "PRAGMA user_version"));
  if (sqlite3_step(version.get()) != SQLITE_ROW) return Failed(db_, "read of the schema version");
  const int schema = sqlite3_column_int(version.get(), 0);
  version.reset();
  if (schema > kSchema)
    return absl::FailedPreconditionError(
        absl::StrCat("images.db was written by a newer wherryd (schema ", schema, ", this one knows ", kSchema, ")"));
  return schema == kSchema ? absl::OkStatus() : Exec(kCreate);
}

absl::Status Database::Exec(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return Failed(db_, sql);
  return absl::OkStatus();
}

template <typename Record>
absl::StatusOr<std::vector<Record>> Database::Load(const char* sql) {
  ASSIGN_OR_RETURN(Statement rows, Compile(db_, sql));
  std::vector<Record> out;
  int rc = 0;
  while ((rc = sqlite3_step(rows.get())) == SQLITE_ROW) {
    Record record;
    if (!record.ParseFromArray(sqlite3_column_blob(rows.get(), 0), sqlite3_column_bytes(rows.get(), 0)))
      return absl::DataLossError("images.db: a record cannot be read");
    out.push_back(std::move(record));
  }
  if (rc != SQLITE_DONE) return Failed(db_, sql);
  return out;
}

absl::StatusOr<std::vector<pb::ImageRecord>> Database::LoadImages() {
  return Load<pb::ImageRecord>("SELECT record FROM image ORDER BY id");
}

absl::StatusOr<std::vector<pb::LayerRecord>> Database::LoadLayers() {
  return Load<pb::LayerRecord>("SELECT record FROM layer ORDER BY diff_id");
}

absl::StatusOr<std::string> Database::LoadConfig(const std::string& id) {
  ASSIGN_OR_RETURN(Statement rows, Compile(db_, "SELECT text FROM config WHERE id = ?"));
  sqlite3_bind_text(rows.get(), 1, id.data(), static_cast<int>(id.size()), SQLITE_STATIC);
  const int rc = sqlite3_step(rows.get());
  if (rc == SQLITE_DONE) return absl::NotFoundError(absl::StrCat("the configuration of ", id, " was not kept"));
  if (rc != SQLITE_ROW) return Failed(db_, "read of a configuration");
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(rows.get(), 0));
  return std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(rows.get(), 0)));
}

absl::Status Database::Put(const char* sql, const std::string& id, const std::string& record) {
  ASSIGN_OR_RETURN(Statement s, Compile(db_, sql));
  sqlite3_bind_text(s.get(), 1, id.data(), static_cast<int>(id.size()), SQLITE_STATIC);
  sqlite3_bind_blob(s.get(), 2, record.data(), static_cast<int>(record.size()), SQLITE_STATIC);
  return sqlite3_step(s.get()) == SQLITE_DONE ? absl::OkStatus() : Failed(db_, sql);
}

absl::Status Database::Delete(const char* sql, const std::string& id) {
  ASSIGN_OR_RETURN(Statement s, Compile(db_, sql));
  sqlite3_bind_text(s.get(), 1, id.data(), static_cast<int>(id.size()), SQLITE_STATIC);
  return sqlite3_step(s.get()) == SQLITE_DONE ? absl::OkStatus() : Failed(db_, sql);
}

absl::Status Database::Apply(const Change& change) {
  for (const pb::LayerRecord& layer : change.put_layers)
    RETURN_IF_ERROR(Put("INSERT OR REPLACE INTO layer VALUES (?, ?)", layer.diff_id(), layer.SerializeAsString()));
  for (const pb::ImageRecord& image : change.put_images)
    RETURN_IF_ERROR(Put("INSERT OR REPLACE INTO image VALUES (?, ?)", image.id(), image.SerializeAsString()));
  for (const auto& [id, text] : change.put_configs)
    RETURN_IF_ERROR(Put("INSERT OR REPLACE INTO config VALUES (?, ?)", id, text));
  for (const std::string& id : change.delete_images) {
    RETURN_IF_ERROR(Delete("DELETE FROM image WHERE id = ?", id));
    RETURN_IF_ERROR(Delete("DELETE FROM config WHERE id = ?", id));
  }
  for (const std::string& id : change.delete_layers) RETURN_IF_ERROR(Delete("DELETE FROM layer WHERE diff_id = ?", id));
  return absl::OkStatus();
}

absl::Status Database::Commit(const Change& change) {
  RETURN_IF_ERROR(Exec("BEGIN IMMEDIATE"));
  absl::Status status = Apply(change);
  if (status.ok()) status = Exec("COMMIT");
  if (!status.ok()) (void)Exec("ROLLBACK");
  return status;
}

}  // namespace wherry::image
