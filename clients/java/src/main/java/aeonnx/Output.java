package aeonnx;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotLinkException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/** Writes files, whole or not at all; what is a device or a pipe is written through. */
final class Output {
    private static final int LINKS = 40; // as many as Linux follows

    private Output() {}

    /**
     * Whether a file can be written, asked before anything is done for it.
     *
     * @param replace whether one that exists may be replaced
     * @throws AeonnxException it exists, or is a folder
     */
    static void require(Path path, boolean replace) {
        try {
            target(path, replace);
        } catch (IOException error) {
            throw unwritten(path, error);
        }
    }

    /** Write a file; see `require`. */
    static void write(Path path, byte[] data, boolean replace) {
        try {
            Path target = target(path, replace);
            if (target == null) {
                through(path, data);
            } else {
                beside(target, data);
            }
        } catch (IOException error) {
            throw unwritten(path, error);
        }
    }

    // Where a file is, links followed; null for a device or a pipe.
    private static Path target(Path path, boolean replace) throws IOException {
        try {
            BasicFileAttributes found = Files.readAttributes(path, BasicFileAttributes.class);
            if (found.isDirectory()) {
                throw new IOException("it is a folder");
            }
            if (!found.isRegularFile()) {
                return null;
            }
            if (!replace) {
                throw new AeonnxException(Names.text(path)
                        + " exists already: pass --force to replace it, or name another");
            }
        } catch (NoSuchFileException error) {
            // a new one, or where a link points to
        }
        Path target = path;
        for (int i = 0; i < LINKS; i++) {
            try {
                Path link = Files.readSymbolicLink(target);
                target = link.isAbsolute() ? link : target.resolveSibling(link);
            } catch (NotLinkException | NoSuchFileException | UnsupportedOperationException error) {
                break;
            }
        }
        return target;
    }

    private static void through(Path path, byte[] data) throws IOException {
        try (OutputStream to = Files.newOutputStream(path, StandardOpenOption.WRITE)) {
            to.write(data);
        }
    }

    // A hidden file, which is the target once all of it is on the disk; with the mode of what it
    // replaces.
    private static void beside(Path target, byte[] data) throws IOException {
        Path part = Names.beside(target, ".",
                ".%08x.part".formatted(ThreadLocalRandom.current().nextInt()));
        var view = Files.getFileAttributeView(target, PosixFileAttributeView.class);
        Set<PosixFilePermission> mode =
                view != null && Files.exists(target) ? view.readAttributes().permissions() : null;
        FileAttribute<?>[] hidden = mode == null
                ? new FileAttribute<?>[0]
                : new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
                };
        Set<java.nio.file.OpenOption> anew = Set.of(
                StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW, LinkOption.NOFOLLOW_LINKS);
        FileChannel file = FileChannel.open(part, anew, hidden);
        try {
            try (file) {
                ByteBuffer rest = ByteBuffer.wrap(data);
                while (rest.hasRemaining()) {
                    file.write(rest);
                }
                if (mode != null) {
                    Files.setPosixFilePermissions(part, mode);
                }
                file.force(true);
            }
            Files.move(part, target,
                    StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException | RuntimeException error) {
            Files.deleteIfExists(part);
            throw error;
        }
    }

    private static AeonnxException unwritten(Path path, IOException error) {
        return new AeonnxException(
                "cannot write " + Names.text(path) + ": " + AeonnxException.reason(error));
    }
}
