import com.sun.source.util.JavacTask;
import com.sun.source.util.TaskEvent;
import com.sun.source.util.TaskListener;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.Deflater;

import javax.lang.model.element.ExecutableElement;
import javax.lang.model.element.Modifier;
import javax.lang.model.element.TypeElement;
import javax.lang.model.element.VariableElement;
import javax.lang.model.type.TypeKind;
import javax.lang.model.util.ElementFilter;
import javax.lang.model.util.Elements;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.StandardLocation;
import javax.tools.ToolProvider;

/**
 * Compiles Main.java and packs main.jar, in one JVM. The names of the classes are free: the manifest names the class
 * with the main method. The JVM runs this file from its source, so a machine needs a JDK and nothing else.
 */
public final class CompileJava {
    /** Nested expressions make the compiler recurse. Only what it uses of the stack counts as memory. */
    private static final long STACK_BYTES = 64L << 20;

    public static void main(String[] args) throws InterruptedException {
        int[] exitCode = {1};
        Thread compiler = new Thread(null, () -> exitCode[0] = compile(), "compiler", STACK_BYTES);
        compiler.start();
        compiler.join();
        System.exit(exitCode[0]);
    }

    private static int compile() {
        try {
            return compile(Path.of("Main.java"), Path.of("main.jar"));
        } catch (IOException error) {
            System.err.println("error: " + error);
            return 1;
        }
    }

    private static int compile(Path source, Path jar) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null);
        files.setLocation(StandardLocation.CLASS_PATH, List.of());
        ClassFiles classes = new ClassFiles(files);
        List<String> options = List.of("-proc:none", "-implicit:none");
        StringWriter messages = new StringWriter();
        JavacTask task =
            (JavacTask) compiler.getTask(messages, classes, null, options, null, List.of(new Source(source)));
        MainClass mainClass = new MainClass(task.getElements());
        task.addTaskListener(mainClass);
        boolean isCompiled = task.call();
        System.err.print(withoutTrace(messages.toString()));
        if (!isCompiled) {
            return 1;
        }
        if (mainClass.name == null) {
            System.err.println("error: no class has a method `public static void main(String[] args)`");
            return 1;
        }
        classes.pack(mainClass.name, jar);
        return 0;
    }

    /** The messages, with a sentence in place of the stack trace of a compiler that failed. */
    private static String withoutTrace(String messages) {
        if (!messages.contains("\n\tat jdk.compiler/")) {
            return messages;
        }
        if (messages.contains("java.lang.StackOverflowError")) {
            return "error: the program is nested too deeply for the compiler\n";
        }
        if (messages.contains("java.lang.OutOfMemoryError")) {
            return "error: the program is too large for the compiler\n";
        }
        return "error: the compiler itself failed on this program\n";
    }

    /** The source, whose public class may have any name. */
    private static final class Source extends SimpleJavaFileObject {
        private final Path path;

        Source(Path path) {
            super(path.toUri(), Kind.SOURCE);
            this.path = path;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) throws IOException {
            return new String(Files.readAllBytes(path), StandardCharsets.UTF_8);
        }

        @Override
        public String getName() {
            return path.toString();
        }

        @Override
        public boolean isNameCompatible(String simpleName, Kind kind) {
            return kind == Kind.SOURCE;
        }
    }

    /** The class files, kept in memory. */
    private static final class ClassFiles extends ForwardingJavaFileManager<JavaFileManager> {
        private final Map<String, ByteArrayOutputStream> contents = new LinkedHashMap<>();

        ClassFiles(JavaFileManager files) {
            super(files);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                Location location, String className, JavaFileObject.Kind kind, FileObject sibling) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            contents.put(className.replace('.', '/') + kind.extension, content);
            return new SimpleJavaFileObject(URI.create("class:/"), kind) {
                @Override
                public OutputStream openOutputStream() {
                    return content;
                }
            };
        }

        /** Writes a jar without compression, which is faster to write and to read. */
        void pack(String mainClass, Path jar) throws IOException {
            Manifest manifest = new Manifest();
            manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
            manifest.getMainAttributes().put(Attributes.Name.MAIN_CLASS, mainClass);
            try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
                out.setLevel(Deflater.NO_COMPRESSION);
                out.putNextEntry(new JarEntry("META-INF/MANIFEST.MF"));
                manifest.write(out);
                for (Map.Entry<String, ByteArrayOutputStream> file : contents.entrySet()) {
                    out.putNextEntry(new JarEntry(file.getKey()));
                    file.getValue().writeTo(out);
                }
            }
        }
    }

    /**
     * Finds the class whose main method is run: the public class of the source, or else the first class that has one.
     * Nested classes come last.
     */
    private static final class MainClass implements TaskListener {
        /** From this version on, main need not be static or public or have parameters. */
        private static final int SIMPLE_MAIN_VERSION = 25;

        private final Elements elements;
        private String name;
        /** How well the class found so far qualifies: 0 is best. */
        private int rank = Integer.MAX_VALUE;

        MainClass(Elements elements) {
            this.elements = elements;
        }

        @Override
        public void finished(TaskEvent event) {
            if (event.getKind() == TaskEvent.Kind.ANALYZE && event.getTypeElement() != null) {
                TypeElement type = event.getTypeElement();
                consider(type, type.getModifiers().contains(Modifier.PUBLIC) ? 0 : 1);
            }
        }

        private void consider(TypeElement type, int typeRank) {
            if (typeRank < rank && hasMain(type)) {
                name = elements.getBinaryName(type).toString();
                rank = typeRank;
            }
            ElementFilter.typesIn(type.getEnclosedElements()).forEach(nested -> consider(nested, 2));
        }

        private boolean hasMain(TypeElement type) {
            return ElementFilter.methodsIn(elements.getAllMembers(type)).stream().anyMatch(MainClass::isMain);
        }

        private static boolean isMain(ExecutableElement method) {
            List<? extends VariableElement> parameters = method.getParameters();
            boolean takesArguments =
                parameters.size() == 1 && parameters.get(0).asType().toString().equals("java.lang.String[]");
            boolean isVoid = method.getReturnType().getKind() == TypeKind.VOID;
            if (!method.getSimpleName().contentEquals("main") || !isVoid) {
                return false;
            }
            if (Runtime.version().feature() >= SIMPLE_MAIN_VERSION) {
                return (takesArguments || parameters.isEmpty()) && !method.getModifiers().contains(Modifier.PRIVATE);
            }
            return takesArguments && method.getModifiers().containsAll(List.of(Modifier.PUBLIC, Modifier.STATIC));
        }
    }
}
