#include "cri/store/database.h"

#include <fcntl.h>
#include <sqlite3.h>

#include "cri/store/checkpointer.h"
#include "runtime/sys/file.h"

// Records are opaque to SQL: they are looked up in memory, so one table with a key is all that is needed, and a new field
// of a record needs no new schema. SQLite rather than a file for each record: a change of state is then one append to the
// write-ahead log (about 30 µs, no fsync with synchronous=NORMAL) instead of a file, a rename and two fsyncs, and several
// changes are one transaction. The log is folded back by another thread (checkpointer.h).
namespace wherry::store {
namespace {

constexpr int kSchema = 1;
// Four kilobyte pages; a pod's whole life writes about thirty of them.
constexpr int kPagesBeforeCheckpoint = 1000;

absl::StatusCode CodeOf(int result) {
  switch (result & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::string_view Column(sqlite3_stmt* statement, int column) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
  return {data, static_cast<size_t>(sqlite3_column_bytes(statement, column))};
}

int AfterCommit(void* checkpointer, sqlite3*, const char*, int pages) {
  if (pages >= kPagesBeforeCheckpoint) static_cast<Checkpointer*>(checkpointer)->Wake();
  return SQLITE_OK;
}

}  // namespace

void Database::Close::operator()(sqlite3* db) const { sqlite3_close(db); }
void Database::Close::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Database::Database() = default;
Database::~Database() = default;

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  // SQLite gives its log the mode of the database, so it is enough to make that one private. This descriptor is closed
  // before SQLite opens its own: closing any descriptor of a file drops the process's POSIX locks on it.
  RETURN_IF_ERROR_CTX(sys::OpenAt(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600).status(), "database");
  std::unique_ptr<Database> database(new Database);
  database->path_ = path;
  sqlite3* db = nullptr;
  int result = sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  database->db_.reset(db);
  if (result != SQLITE_OK) return database->Error("open");
  RETURN_IF_ERROR(database->Prepare());
  return database;
}

absl::Status Database::Prepare() {
  sqlite3_extended_result_codes(db_.get(), 1);
  sqlite3_busy_timeout(db_.get(), 5000);
  RETURN_IF_ERROR(Run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-512"));
  RETURN_IF_ERROR(Migrate());
  ASSIGN_OR_RETURN(put_, Compile("INSERT INTO records(kind, id, data) VALUES(?1, ?2, ?3)"
                                 " ON CONFLICT(kind, id) DO UPDATE SET data = ?3"));
  ASSIGN_OR_RETURN(remove_, Compile("DELETE FROM records WHERE kind = ?1 AND id = ?2"));
  ASSIGN_OR_RETURN(checkpointer_, Checkpointer::Start(path_));
  sqlite3_wal_hook(db_.get(), AfterCommit, checkpointer_.get());
  return absl::OkStatus();
}

absl::Status Database::Migrate() {
  ASSIGN_OR_RETURN(Statement query, Compile("PRAGMA user_version"));
  if (sqlite3_step(query.get()) != SQLITE_ROW) return Error("read the schema version");
  int version = sqlite3_column_int(query.get(), 0);
  query.reset();
  if (version > kSchema)
    return absl::FailedPreconditionError(absl::StrCat("database \"", path_, "\" has schema ", version,
                                                      ", this wherryd knows up to ", kSchema,
                                                      ": it was written by a newer wherryd"));
  if (version == kSchema) return absl::OkStatus();
  return Run(
      "BEGIN IMMEDIATE;"
      "CREATE TABLE records(kind INTEGER NOT NULL, id TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY(kind, id));"
      "PRAGMA user_version=1;"
      "COMMIT");
}

absl::Status Database::ForEach(Kind kind, const Visitor& visit) {
  ASSIGN_OR_RETURN(Statement query, Compile("SELECT id, data FROM records WHERE kind = ?1"));
  sqlite3_bind_int(query.get(), 1, static_cast<int>(kind));
  int result;
  while ((result = sqlite3_step(query.get())) == SQLITE_ROW)
    RETURN_IF_ERROR_CTX(visit(Column(query.get(), 0), Column(query.get(), 1)),
                        absl::StrCat("database \"", path_, "\""));
  return result == SQLITE_DONE ? absl::OkStatus() : Error("read records");
}

absl::Status Database::Commit(const std::vector<const Change*>& changes) {
  RETURN_IF_ERROR(Run("BEGIN IMMEDIATE"));
  absl::Status status;
  for (const Change* change : changes) {
    status = Apply(*change);
    if (!status.ok()) break;
  }
  if (status.ok()) status = Run("COMMIT");
  // A failed COMMIT, too, may leave the transaction open; some errors have ended it already.
  if (!status.ok() && sqlite3_get_autocommit(db_.get()) == 0)
    sqlite3_exec(db_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  return status;
}

absl::Status Database::Apply(const Change& change) {
  sqlite3_stmt* statement = change.data ? put_.get() : remove_.get();
  sqlite3_bind_int(statement, 1, static_cast<int>(change.kind));
  sqlite3_bind_text(statement, 2, change.id.data(), static_cast<int>(change.id.size()), SQLITE_STATIC);
  if (change.data) sqlite3_bind_blob64(statement, 3, change.data->data(), change.data->size(), SQLITE_STATIC);
  int result = sqlite3_step(statement);
  absl::Status status = result == SQLITE_DONE ? absl::OkStatus() : Error(absl::StrCat("write record ", change.id));
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return status;
}

absl::StatusOr<Database::Statement> Database::Compile(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK)
    return Error(absl::StrCat("prepare \"", sql, "\""));
  return Statement(statement);
}

absl::Status Database::Run(const char* sql) {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return Error(sql);
  return absl::OkStatus();
}

absl::Status Database::Error(absl::string_view call) {
  return absl::Status(CodeOf(sqlite3_errcode(db_.get())),
                      absl::StrCat("database \"", path_, "\": ", call, ": ", sqlite3_errmsg(db_.get())));
}

}  // namespace wherry::store
